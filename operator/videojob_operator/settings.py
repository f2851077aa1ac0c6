"""The settings of the operator: environment variables, and two JSON files that the administrator owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from videojob import environment
from videojob.base import Manifest
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError
from videojob.settings_file import read_settings_file

NAMESPACES = "VIDEOJOB_NAMESPACES"
RENDERER_IMAGE = "VIDEOJOB_RENDERER_IMAGE"
RENDERER_SERVICE_ACCOUNT = "VIDEOJOB_RENDERER_SERVICE_ACCOUNT"
STORAGE_CONFIGMAP = "VIDEOJOB_STORAGE_CONFIGMAP"
STORAGE_SECRET = "VIDEOJOB_STORAGE_SECRET"  # noqa: S105 - a name
HEALTH_PORT = "VIDEOJOB_HEALTH_PORT"


class Profile(Manifest):
    """How the pod of a job runs.

    Attributes:
        gpus: `nvidia.com/gpu` of the pod.
        gpu_products: allowed values of the node label nvidia.com/gpu.product; empty = any.
        node_selector: as in a pod; so are tolerations, resources, env, volumes, volume_mounts and
            priority_class_name.
        image: instead of the installation's renderer image.
    """

    gpus: Annotated[int, Field(ge=0, le=8)] = 1
    gpu_products: tuple[str, ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    resources: dict[str, dict[str, Any]] = Field(default_factory=dict)
    image: str | None = None
    env: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    priority_class_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the operator is told from outside.

    Attributes:
        namespaces: whose VideoJobs are served; empty = the operator's own namespace.
        storage_config_map: gives the renderer its bucket and endpoint.
        storage_secret: gives the renderer its keys; None with workload identity.
        health_port: of /healthz and /readyz.
    """

    catalogue: Catalogue
    profiles: Mapping[str, Profile]
    namespaces: tuple[str, ...]
    renderer_image: str
    renderer_service_account: str
    storage_config_map: str
    storage_secret: str | None
    health_port: int = 8081


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        ConfigurationError: one is missing or wrong; the text names it.
    """
    return Settings(
        catalogue=Catalogue.read(Path(_required(env, environment.CATALOGUE))),
        profiles=read_profiles(Path(_required(env, environment.PROFILES))),
        namespaces=_names(env.get(NAMESPACES, "")),
        renderer_image=_required(env, RENDERER_IMAGE),
        renderer_service_account=_required(env, RENDERER_SERVICE_ACCOUNT),
        storage_config_map=_required(env, STORAGE_CONFIGMAP),
        storage_secret=env.get(STORAGE_SECRET) or None,
        health_port=_port(env.get(HEALTH_PORT) or "8081"),
    )


def read_profiles(path: Path) -> dict[str, Profile]:
    """Read the profiles from their JSON file.

    Raises:
        ConfigurationError: the file is missing, is not JSON or breaks a rule; the text names file and field.
    """
    return read_settings_file(path, TypeAdapter(dict[str, Profile]), "profiles")


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise ConfigurationError(f"the environment variable {HEALTH_PORT} must be a port number, not {text!r}")
    return int(text)
