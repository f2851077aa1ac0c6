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
    return {"VIDEOJOB_NAMESPACE": "videojob", "VIDEOJOB_CATALOGUE": str(file), "VIDEOJOB_S3_BUCKET": "videos"}


def test_what_is_not_set_has_a_default(env: dict[str, str], catalogue: Catalogue) -> None:
    settings = read_settings(env)
    assert settings.catalogue == catalogue
    assert (settings.host, settings.port, settings.prefix) == ("0.0.0.0", 8000, "")
    assert settings.kubeconfig is None
    assert settings.s3_endpoint is None
    assert (settings.delivery, settings.presigned_seconds) == ("stream", 900)
    assert settings.public_s3_endpoint is None


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
    }
    settings = read_settings(env | more)
    assert (settings.host, settings.port, settings.prefix) == ("127.0.0.1", 8123, "prod")
    assert (settings.s3_endpoint, settings.kubeconfig) == ("http://s3:8333", "/kubeconfig")
    assert (settings.delivery, settings.presigned_seconds) == ("redirect", 60)
    assert settings.public_s3_endpoint == "https://s3.example.com"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("VIDEOJOB_API_DELIVERY", "push", "must be stream or redirect, not 'push'"),
        ("VIDEOJOB_API_PRESIGNED_SECONDS", "0", "must be 1 to 604800, not '0'"),
        ("VIDEOJOB_API_PRESIGNED_SECONDS", "a week", "must be 1 to 604800, not 'a week'"),
    ],
)
def test_a_wrong_way_of_delivery_is_named(name: str, value: str, sentence: str, env: dict[str, str]) -> None:
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
