"""Wrong settings end the operator with one sentence that names the setting; right ones are found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.operator.worlds import SETTINGS

from videojob.errors import ConfigurationError
from videojob_operator.credentials import find_credentials
from videojob_operator.settings import read_settings


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "catalogue.json").write_text(json.dumps(SETTINGS.catalogue.dump()))
    (tmp_path / "profiles.json").write_text(json.dumps({"default": {"gpus": 1}}))
    return {
        "VIDEOJOB_CATALOGUE": str(tmp_path / "catalogue.json"),
        "VIDEOJOB_PROFILES": str(tmp_path / "profiles.json"),
        "VIDEOJOB_NAMESPACES": "studio, film",
        "VIDEOJOB_RENDERER_IMAGE": "videojob-renderer:1",
        "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
        "VIDEOJOB_STORAGE_CONFIGMAP": "videojob-storage",
        "VIDEOJOB_STORAGE_SECRET": "",
    }


def test_settings_come_from_environment_and_files(env: dict[str, str]) -> None:
    settings = read_settings(env)
    assert settings.namespaces == ("studio", "film")
    assert settings.profiles["default"].gpus == 1
    assert settings.storage_secret is None
    assert settings.health_port == 8081


@pytest.mark.parametrize(
    "name",
    [
        "VIDEOJOB_CATALOGUE",
        "VIDEOJOB_PROFILES",
        "VIDEOJOB_RENDERER_IMAGE",
        "VIDEOJOB_RENDERER_SERVICE_ACCOUNT",
        "VIDEOJOB_STORAGE_CONFIGMAP",
    ],
)
def test_a_missing_setting_is_named(env: dict[str, str], name: str) -> None:
    del env[name]
    with pytest.raises(ConfigurationError, match=name):
        read_settings(env)


def test_the_pull_policy_of_renderers_is_one_of_kubernetes_or_its_own_choice(env: dict[str, str]) -> None:
    assert read_settings(env).renderer_pull_policy is None
    assert read_settings(env | {"VIDEOJOB_RENDERER_PULL_POLICY": "Always"}).renderer_pull_policy == "Always"
    told = "VIDEOJOB_RENDERER_PULL_POLICY must be one of Always, IfNotPresent, Never, not 'always'"
    with pytest.raises(ConfigurationError, match=told):
        read_settings(env | {"VIDEOJOB_RENDERER_PULL_POLICY": "always"})


def test_a_wrong_port_is_named(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="VIDEOJOB_HEALTH_PORT must be a port number, not 'http'"):
        read_settings(env | {"VIDEOJOB_HEALTH_PORT": "http"})


@pytest.mark.parametrize("url", ["videojob-api", "ftp://api", "http://", "//api"])
def test_a_broker_is_a_url_or_there_is_none(env: dict[str, str], url: str) -> None:
    assert read_settings(env).broker_url is None
    assert read_settings(env | {"VIDEOJOB_BROKER_URL": ""}).broker_url is None
    assert read_settings(env | {"VIDEOJOB_BROKER_URL": "http://api:8000"}).broker_url == "http://api:8000"
    with pytest.raises(ConfigurationError, match="VIDEOJOB_BROKER_URL must be a URL, not"):
        read_settings(env | {"VIDEOJOB_BROKER_URL": url})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ('{"default": {"gpu": 1}}', r"default\.gpu"),
        ('{"default": {"gpus": 9}}', r"default\.gpus"),
        ('{"default": {"speed": {"attention": "fast"}}}', r"default\.speed\.attention .*'cudnn'"),
        ('{"default": {"speed": {"cfgParallel": 2}}}', r"default\.gpus must be at least speed\.cfgParallel, 2"),
        (
            '{"default": {"speed": {"cacheThreshold": 0.1}}}',
            r"default\.speed\.cacheThreshold has no effect unless cache is firstBlock",
        ),
    ],
)
def test_a_wrong_profile_is_named(env: dict[str, str], content: str, complaint: str) -> None:
    Path(env["VIDEOJOB_PROFILES"]).write_text(content)
    with pytest.raises(ConfigurationError, match=complaint):
        read_settings(env)


def test_missing_credentials_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no usable Kubernetes credentials"):
        find_credentials({"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(ConfigurationError, match="KUBERNETES_SERVICE_HOST"):
        find_credentials({})


def test_the_process_ends_with_one_sentence_and_no_traceback() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VIDEOJOB_")}
    result = subprocess.run(
        [sys.executable, "-m", "videojob_operator"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "videojob-operator: the environment variable VIDEOJOB_CATALOGUE is not set\n"
