"""The settings the chart hands to operator and API are the ones they read, and no key of S3 lies open."""

import json
from pathlib import Path

import pytest
from tests.chart.rendering import Render, Rendered

from videojob import environment
from videojob.catalogue import Catalogue
from videojob.families import FAMILY_DEFAULTS
from videojob.request import VideoJobRequest
from videojob.resolve import resolve
from videojob_api import settings as api_settings
from videojob_operator import settings as operator_settings

KEY_ID = "AKIAEXAMPLE"
KEY = "not-to-be-seen"


def catalogue(rendered: Rendered, folder: Path) -> Catalogue:
    write_configuration(rendered, folder)
    return Catalogue.read(folder / "catalogue.json")


def write_configuration(rendered: Rendered, folder: Path) -> None:
    """Write the files of the ConfigMap, which pods find in /etc/videojob."""
    for name, content in rendered.one("ConfigMap", "videojob-config")["data"].items():
        (folder / name).write_text(content)


def in_folder(told: dict[str, str], folder: Path) -> dict[str, str]:
    return {name: value.replace("/etc/videojob", str(folder)) for name, value in told.items()}


def test_the_official_models_resolve_to_what_their_model_cards_say(default: Rendered, tmp_path: Path) -> None:
    models = catalogue(default, tmp_path)
    assert set(models.models) == {
        "CogVideoX-2b",
        "CogVideoX-5b",
        "CogVideoX1.5-5B",
        "CogVideoX-5b-I2V",
        "CogVideoX1.5-5B-I2V",
    }
    for name, model in models.models.items():
        image = "s3://videos/in.png" if model.family.takes_image else None
        resolved = resolve(VideoJobRequest(prompt="a cat", model=name, image=image), models)
        family = FAMILY_DEFAULTS[model.family]
        assert resolved.source == f"zai-org/{name}"
        assert (resolved.num_frames, resolved.width, resolved.height, resolved.fps) == (
            family.num_frames,
            family.width,
            family.height,
            family.fps,
        )
        assert (resolved.steps, resolved.guidance_scale) == (50, 6.0)


def test_a_request_without_a_model_gets_the_default_model(default: Rendered, full: Rendered, tmp_path: Path) -> None:
    assert resolve(VideoJobRequest(prompt="a cat"), catalogue(default, tmp_path)).model == "CogVideoX-2b"
    resolved = resolve(VideoJobRequest(prompt="a cat"), catalogue(full, tmp_path))
    assert (resolved.model, resolved.source, resolved.fps) == ("house-style", "/models/house-style", 12)


def test_a_model_set_to_null_is_taken_out(full: Rendered, tmp_path: Path) -> None:
    assert "CogVideoX-5b" not in catalogue(full, tmp_path).models


def test_the_default_profile_asks_for_one_h100(default: Rendered) -> None:
    profiles = json.loads(default.one("ConfigMap", "videojob-config")["data"]["profiles.json"])
    assert profiles["default"]["gpus"] == 1
    assert all("H100" in product for product in profiles["default"]["gpuProducts"])
    assert profiles["default"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert {"cpu", "memory", "ephemeral-storage"} == set(profiles["default"]["resources"]["requests"])


def test_the_operator_is_told_its_namespaces_and_what_renderers_need(full: Rendered) -> None:
    assert full.environment("videojob-operator") == {
        "VIDEOJOB_NAMESPACES": "studio,research",
        environment.CATALOGUE: "/etc/videojob/catalogue.json",
        environment.PROFILES: "/etc/videojob/profiles.json",
        "VIDEOJOB_RENDERER_IMAGE": "registry.example.com/video/videojob-renderer:0.1.0",
        "VIDEOJOB_RENDERER_PULL_POLICY": "IfNotPresent",
        "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
        "VIDEOJOB_STORAGE_CONFIGMAP": "videojob-storage",
        "VIDEOJOB_STORAGE_SECRET": "s3-keys",
        environment.BROKER_URL: "http://videojob-api.videojob.svc:8080",
        "VIDEOJOB_HEALTH_PORT": "8081",
        "VIDEOJOB_LEASE": "videojob-operator",
        "VIDEOJOB_LEASE_SECONDS": "15",
        "VIDEOJOB_WEBHOOK_SECRET_FILE": "/etc/videojob-webhooks/secrets",
        "VIDEOJOB_WEBHOOK_ALLOWED_NETWORKS": "10.0.0.0/8,fd00::/8",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
    }


@pytest.mark.parametrize("name", ["default", "full"])
def test_the_operator_reads_all_that_the_chart_tells_it(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    rendered: Rendered = request.getfixturevalue(name)
    write_configuration(rendered, tmp_path)
    settings = operator_settings.read_settings(in_folder(rendered.environment("videojob-operator"), tmp_path))
    assert settings.renderer_image.endswith("videojob-renderer:0.1.0")
    assert settings.profiles["default"].gpus == 1
    assert settings.storage_secret == (None if name == "default" else "s3-keys")
    assert settings.namespaces == (("videojob",) if name == "default" else ("studio", "research"))


def test_the_api_is_told_where_to_listen_and_which_namespace_it_serves(render: Render) -> None:
    told = render(api__host="::", api__port="18000").environment("videojob-api")
    assert told == {
        "VIDEOJOB_NAMESPACE": "videojob",
        environment.CATALOGUE: "/etc/videojob/catalogue.json",
        "VIDEOJOB_API_HOST": "::",
        "VIDEOJOB_API_PORT": "18000",
        "VIDEOJOB_API_AUTH": "kubernetes",
        "VIDEOJOB_API_REQUESTS_PER_MINUTE": "600",
        "VIDEOJOB_API_DELIVERY": "stream",
        "VIDEOJOB_API_PRESIGNED_SECONDS": "900",
        "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
        "TMPDIR": "/tmp",
    }


def test_the_api_reads_all_that_the_chart_tells_it(full: Rendered, tmp_path: Path) -> None:
    write_configuration(full, tmp_path)
    told = full.one("ConfigMap", "videojob-storage", "videojob")["data"] | full.environment("videojob-api")
    settings = api_settings.read_settings(in_folder(told, tmp_path))
    assert (settings.namespace, settings.host, settings.port) == ("studio", "0.0.0.0", 8000)
    assert (settings.bucket, settings.prefix, settings.s3_endpoint) == ("videos", "prod/eu", "https://s3.example.com")
    assert settings.catalogue.default_model == "house-style"
    assert settings.renderer_service_account == "videojob-renderer"


def test_storage_settings_are_in_each_served_namespace_and_where_the_api_runs(full: Rendered) -> None:
    maps = [m for m in full.of_kind("ConfigMap") if m["metadata"]["name"] == "videojob-storage"]
    assert {m["metadata"]["namespace"] for m in maps} == {"studio", "research", "videojob"}
    assert all(
        m["data"]
        == {
            environment.S3_BUCKET: "videos",
            environment.S3_PREFIX: "prod/eu",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
        }
        for m in maps
    )


def test_without_an_endpoint_boto3_is_left_to_find_aws(default: Rendered) -> None:
    assert "AWS_ENDPOINT_URL_S3" not in default.one("ConfigMap", "videojob-storage")["data"]


def test_given_keys_lie_in_the_secret_and_nowhere_else(render: Render) -> None:
    rendered = render(storage__accessKeyId=KEY_ID, storage__secretAccessKey=KEY)
    secret = rendered.one("Secret", "videojob-storage")
    assert secret["stringData"] == {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY}
    others = json.dumps([manifest for manifest in rendered.manifests if manifest["kind"] != "Secret"])
    assert KEY not in others
    assert KEY_ID not in others
    assert rendered.environment("videojob-operator")["VIDEOJOB_STORAGE_SECRET"] == "videojob-storage"
    sources = rendered.pod_spec("videojob-api")["containers"][0]["envFrom"]
    assert sources == [{"configMapRef": {"name": "videojob-storage"}}, {"secretRef": {"name": "videojob-storage"}}]


def test_an_existing_secret_is_used_and_none_is_made(full: Rendered) -> None:
    assert not full.of_kind("Secret")
    assert {"secretRef": {"name": "s3-keys"}} in full.pod_spec("videojob-api")["containers"][0]["envFrom"]


def test_without_keys_the_pods_rely_on_workload_identity(default: Rendered, full: Rendered) -> None:
    assert not default.of_kind("Secret")
    assert default.environment("videojob-operator")["VIDEOJOB_STORAGE_SECRET"] == ""
    assert default.pod_spec("videojob-api")["containers"][0]["envFrom"] == [
        {"configMapRef": {"name": "videojob-storage"}}
    ]
    assert full.one("ServiceAccount", "videojob-api")["metadata"]["annotations"] == {"example.com/role": "reader"}


def test_the_operator_holds_no_s3_settings(render: Render) -> None:
    container = render(storage__accessKeyId=KEY_ID, storage__secretAccessKey=KEY).pod_spec("videojob-operator")[
        "containers"
    ][0]
    assert "envFrom" not in container


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://videojob-api.videojob.svc:80"),
        ({"api__service__port": "8080"}, "http://videojob-api.videojob.svc:8080"),
        ({"storage__brokerUrl": "https://video.example.com"}, "https://video.example.com"),
        ({"api__replicas": "0"}, None),
        ({"api__replicas": "0", "api__autoscaling__enabled": "true"}, "http://videojob-api.videojob.svc:80"),
        ({"api__replicas": "0", "storage__rendererAccess": "broker"}, "http://videojob-api.videojob.svc:80"),
        ({"storage__rendererAccess": "secret"}, None),
        ({"models__CogVideoX-2b__source": "s3://models/2b"}, None),
        (
            {
                "models__CogVideoX-2b__source": "s3://models/2b",
                "weights__claim__existing": "weights",
                "weights__fetch__enabled": "true",
            },
            "http://videojob-api.videojob.svc:80",
        ),
        (
            {
                "models__CogVideoX-5b__source": "s3://models/5b",
                "weights__claim__existing": "weights",
                "weights__fetch__enabled": "true",
            },
            None,  # only the default model is fetched
        ),
        (
            {
                "models__CogVideoX-5b__source": "s3://models/5b",
                "weights__claim__existing": "weights",
                "weights__fetch__enabled": "true",
                "weights__fetch__models": "{CogVideoX-5b}",
            },
            "http://videojob-api.videojob.svc:80",
        ),
        ({"api__host": "127.0.0.1"}, None),
        ({"api__host": "127.0.0.1", "storage__brokerUrl": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000"),
    ],
)
def test_renderers_hold_no_keys_where_an_api_can_sign_for_them(
    render: Render, values: dict[str, str], url: str | None, tmp_path: Path
) -> None:
    rendered = render(**values)
    write_configuration(rendered, tmp_path)
    settings = operator_settings.read_settings(in_folder(rendered.environment("videojob-operator"), tmp_path))
    assert settings.broker_url == url
    account = rendered.environment("videojob-api").get("VIDEOJOB_RENDERER_SERVICE_ACCOUNT")
    assert account == (settings.renderer_service_account if url else None)


def test_renderers_may_pull_from_the_private_registry_in_each_namespace(full: Rendered) -> None:
    for namespace in ("studio", "research"):
        assert full.one("ServiceAccount", "videojob-renderer", namespace)["imagePullSecrets"] == [{"name": "registry"}]
