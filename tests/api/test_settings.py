"""The settings of the API, from its environment."""

from pathlib import Path

import pytest

from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError
from videojob_api.settings import read_settings


@pytest.fixture
def env(catalogue: Catalogue, tmp_path: Path) -> dict[str, str]:
    """The least a pod must be told."""
    file = tmp_path / "catalogue.json"
    file.write_text(catalogue.model_dump_json(by_alias=True, exclude_none=True))
    return {
        "VIDEOJOB_NAMESPACE": "videojob",
        "VIDEOJOB_CATALOGUE": str(file),
        "VIDEOJOB_S3_BUCKET": "videos",
        "VIDEOJOB_API_AUTH": "kubernetes",
    }


def test_what_is_not_set_has_a_default(env: dict[str, str], catalogue: Catalogue) -> None:
    settings = read_settings(env)
    assert settings.catalogue == catalogue
    assert (settings.host, settings.port, settings.prefix) == ("0.0.0.0", 8000, "")
    assert settings.kubeconfig is None
    assert settings.s3_endpoint is None
    assert (settings.delivery, settings.presigned_seconds) == ("stream", 900)
    assert settings.public_s3_endpoint is None
    assert settings.namespaces == ("videojob",)
    assert (settings.requests_per_minute, settings.cors_origins) == (600, ())
    assert settings.renderer_service_account is None


def test_all_can_be_set(env: dict[str, str]) -> None:
    more = {
        "VIDEOJOB_API_HOST": "127.0.0.1",
        "VIDEOJOB_API_PORT": "8123",
        "VIDEOJOB_S3_PREFIX": "prod",
        "AWS_ENDPOINT_URL_S3": "http://s3:8333",
        "KUBECONFIG": "/kubeconfig",
        "VIDEOJOB_API_DELIVERY": "redirect",
        "VIDEOJOB_API_PRESIGNED_SECONDS": "60",
        "VIDEOJOB_API_PUBLIC_S3_ENDPOINT": "https://s3.example.com",
        "VIDEOJOB_NAMESPACE": "studio, research",
        "VIDEOJOB_API_AUTH": "keys",
        "VIDEOJOB_API_KEYS_FILE": "/keys.json",
        "VIDEOJOB_API_REQUESTS_PER_MINUTE": "0",
        "VIDEOJOB_API_CORS_ORIGINS": "https://a.example, https://b.example",
    }
    settings = read_settings(env | more)
    assert (settings.host, settings.port, settings.prefix) == ("127.0.0.1", 8123, "prod")
    assert (settings.s3_endpoint, settings.kubeconfig) == ("http://s3:8333", "/kubeconfig")
    assert (settings.delivery, settings.presigned_seconds) == ("redirect", 60)
    assert settings.public_s3_endpoint == "https://s3.example.com"
    assert settings.namespaces == ("studio", "research")
    assert (settings.authentication, settings.keys_file) == ("keys", Path("/keys.json"))
    assert (settings.requests_per_minute, settings.cors_origins) == (0, ("https://a.example", "https://b.example"))


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_without_authentication_only_this_machine_is_served_unless_told_so(host: str, env: dict[str, str]) -> None:
    env |= {"VIDEOJOB_API_AUTH": "none", "VIDEOJOB_API_HOST": host}
    with pytest.raises(ConfigurationError, match="without authentication the service listens on loopback only"):
        read_settings(env)
    with pytest.raises(ConfigurationError, match="VIDEOJOB_API_ALLOW_ANYONE"):
        read_settings(env | {"VIDEOJOB_API_ALLOW_ANYONE": "yes", "VIDEOJOB_API_AUTH": ""})
    told = read_settings(env | {"VIDEOJOB_API_ALLOW_ANYONE": "true"})
    assert (told.authentication, told.requests_per_minute) == ("none", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_on_this_machine_alone_no_authentication_is_needed(host: str, env: dict[str, str]) -> None:
    assert read_settings(env | {"VIDEOJOB_API_AUTH": "", "VIDEOJOB_API_HOST": host}).host == host


def test_keys_need_their_file(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="VIDEOJOB_API_KEYS_FILE is not set"):
        read_settings(env | {"VIDEOJOB_API_AUTH": "keys"})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("VIDEOJOB_API_DELIVERY", "push", "must be stream or redirect, not 'push'"),
        ("VIDEOJOB_API_AUTH", "password", "must be none or kubernetes or keys, not 'password'"),
        ("VIDEOJOB_API_REQUESTS_PER_MINUTE", "-1", "must be 0 to 1000000, not '-1'"),
        ("VIDEOJOB_API_PRESIGNED_SECONDS", "0", "must be 1 to 604800, not '0'"),
        ("VIDEOJOB_API_PRESIGNED_SECONDS", "a week", "must be 1 to 604800, not 'a week'"),
    ],
)
def test_a_word_or_number_that_is_not_legal_is_named(name: str, value: str, sentence: str, env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} {sentence}"):
        read_settings(env | {name: value})


@pytest.mark.parametrize("name", ["VIDEOJOB_NAMESPACE", "VIDEOJOB_CATALOGUE", "VIDEOJOB_S3_BUCKET"])
def test_what_is_missing_is_named(name: str, env: dict[str, str]) -> None:
    del env[name]
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        read_settings(env)


@pytest.mark.parametrize("port", ["http", "65536", "-1", "80 80", "\u0663"])
def test_a_wrong_port_is_named(port: str, env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="VIDEOJOB_API_PORT must be a port number"):
        read_settings(env | {"VIDEOJOB_API_PORT": port})


def test_a_missing_catalogue_is_named(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"model catalogue /nothing.json: No such file"):
        read_settings(env | {"VIDEOJOB_CATALOGUE": "/nothing.json"})
