"""The settings of the operator: environment variables, and two JSON files that the administrator owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, model_validator

from videojob import environment
from videojob.base import Manifest
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError, rule_broken
from videojob.settings_file import read_settings_file
from videojob.speed import SpeedOptions
from videojob_operator.addresses import Network, read_networks

NAMESPACES = "VIDEOJOB_NAMESPACES"
RENDERER_IMAGE = "VIDEOJOB_RENDERER_IMAGE"
RENDERER_PULL_POLICY = "VIDEOJOB_RENDERER_PULL_POLICY"
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
RENDERER_SERVICE_ACCOUNT = "VIDEOJOB_RENDERER_SERVICE_ACCOUNT"
STORAGE_CONFIGMAP = "VIDEOJOB_STORAGE_CONFIGMAP"
STORAGE_SECRET = "VIDEOJOB_STORAGE_SECRET"  # noqa: S105 - a name
HEALTH_PORT = "VIDEOJOB_HEALTH_PORT"
LEASE = "VIDEOJOB_LEASE"
LEASE_SECONDS = "VIDEOJOB_LEASE_SECONDS"
SHORTEST_LEASE_SECONDS = 3
WEBHOOK_SECRET_FILE = "VIDEOJOB_WEBHOOK_SECRET_FILE"  # noqa: S105 - a name
WEBHOOK_ALLOWED_NETWORKS = "VIDEOJOB_WEBHOOK_ALLOWED_NETWORKS"
FAIL_LOST_PODS = "VIDEOJOB_FAIL_LOST_PODS"


class Profile(Manifest):
    """How the pod of a job runs.

    Attributes:
        gpus: `nvidia.com/gpu` of the pod.
        gpu_products: allowed values of the node label nvidia.com/gpu.product; empty = any.
        node_selector: as in a pod; so are affinity, tolerations, resources, env, volumes, volume_mounts,
            priority_class_name and runtime_class_name.
        image: instead of the installation's renderer image.
        max_interruptions: how often a job may be stopped from outside (drain, preemption) and begin again free of
            charge.
        speed: how the renderer is made fast.
    """

    gpus: Annotated[int, Field(ge=0, le=8)] = 1
    gpu_products: tuple[str, ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: dict[str, Any] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    resources: dict[str, dict[str, Any]] = Field(default_factory=dict)
    image: str | None = None
    env: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    max_interruptions: Annotated[int, Field(ge=0, le=1000)] = 20
    speed: SpeedOptions = SpeedOptions()

    @model_validator(mode="after")
    def _has_the_gpus_it_shares(self) -> Self:
        if self.speed.cfg_parallel > max(self.gpus, 1):
            raise rule_broken("gpus", f"must be at least speed.cfgParallel, {self.speed.cfg_parallel}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the operator is told from outside.

    Attributes:
        namespaces: whose VideoJobs are served; empty = the operator's own namespace.
        storage_config_map: gives the renderer its bucket and endpoint.
        storage_secret: gives the renderer its keys; None with workload identity.
        broker_url: of the API, which signs renderers' requests to S3: they get no keys then; None = they do.
        renderer_pull_policy: of whichever image renders; None = Kubernetes' own choice.
        health_port: of /healthz, /readyz and /metrics.
        lease: name of the Lease by which one of several operators is chosen; None = this is the only one.
        lease_seconds: after so long without a sign of life another operator takes over.
        webhook_secret_file: holds what webhooks are signed with; None = none are sent.
        webhook_allowed_networks: called by webhooks though they are not public.
        fail_lost_pods: declare a pod failed whose node does not answer, so that another can follow.
    """

    catalogue: Catalogue
    profiles: Mapping[str, Profile]
    namespaces: tuple[str, ...]
    renderer_image: str
    renderer_service_account: str
    storage_config_map: str
    storage_secret: str | None
    broker_url: str | None = None
    renderer_pull_policy: str | None = None
    health_port: int = 8081
    lease: str | None = None
    lease_seconds: int = 15
    webhook_secret_file: Path | None = None
    webhook_allowed_networks: tuple[Network, ...] = ()
    fail_lost_pods: bool = False


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
        broker_url=_url(env.get(environment.BROKER_URL, "")),
        renderer_pull_policy=_pull_policy(env.get(RENDERER_PULL_POLICY, "")),
        health_port=_number(env, HEALTH_PORT, 8081, "a port number", range(65536)),
        lease=env.get(LEASE) or None,
        lease_seconds=_number(env, LEASE_SECONDS, 15, "seconds from 3 to 600", range(SHORTEST_LEASE_SECONDS, 601)),
        webhook_secret_file=Path(secret) if (secret := env.get(WEBHOOK_SECRET_FILE)) else None,
        webhook_allowed_networks=_networks(env.get(WEBHOOK_ALLOWED_NETWORKS, "")),
        fail_lost_pods=_yes_or_no(FAIL_LOST_PODS, env.get(FAIL_LOST_PODS) or "false"),
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


def _pull_policy(text: str) -> str | None:
    if text and text not in PULL_POLICIES:
        legal = ", ".join(PULL_POLICIES)
        raise ConfigurationError(
            f"the environment variable {RENDERER_PULL_POLICY} must be one of {legal}, not {text!r}"
        )
    return text or None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(env: Mapping[str, str], name: str, default: int, what: str, legal: range) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) not in legal:
        raise ConfigurationError(f"the environment variable {name} must be {what}, not {text!r}")
    return int(text)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return read_networks(text)
    except ValueError as error:
        raise ConfigurationError(f"the environment variable {WEBHOOK_ALLOWED_NETWORKS}: {error}") from error


def _url(text: str) -> str | None:
    parts = urlsplit(text)
    if text and not (parts.scheme in {"http", "https"} and parts.hostname):
        raise ConfigurationError(f"the environment variable {environment.BROKER_URL} must be a URL, not {text!r}")
    return text or None


def _yes_or_no(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise ConfigurationError(f"the environment variable {name} must be true or false, not {text!r}")
    return text == "true"
