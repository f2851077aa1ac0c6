"""Where the API server is, and how the service shows who it is: a kubeconfig, or the service account of the pod.

Tokens of pods are replaced about once an hour and the old one ends, so a kubeconfig is read again before it can; the
library does so by itself for the service account of a pod.
"""

import time
from pathlib import Path

import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from videojob.errors import ConfigurationError

TOKEN_READ_AGAIN_SECONDS = 30.0


async def load_access(kubeconfig: str | None) -> client.Configuration:
    """Return the address, the trust and the credentials of the API server.

    Raises:
        ConfigurationError: there are none, or they are not readable.
    """
    access = client.Configuration()
    where = f"kubeconfig {kubeconfig}" if kubeconfig else "service account of this pod"
    try:
        if kubeconfig:
            _require_file(Path(kubeconfig))
            await _load_kubeconfig(access, kubeconfig)
        else:
            config.load_incluster_config(client_configuration=access)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"{where}: {_first_line(error)}") from error
    return access


def _require_file(path: Path) -> None:
    """Raise what is wrong with a file; the library would only log that it is missing."""
    path.read_bytes()


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or "is not usable").splitlines()[0]


async def _load_kubeconfig(access: client.Configuration, path: str) -> None:
    async def read(access: client.Configuration) -> None:
        await config.load_kube_config(path, client_configuration=access, persist_config=False)  # type: ignore[no-untyped-call]

    await read(access)
    read_at = time.monotonic()

    async def read_again(access: client.Configuration) -> None:
        nonlocal read_at
        if time.monotonic() - read_at >= TOKEN_READ_AGAIN_SECONDS:
            await read(access)
            read_at = time.monotonic()

    access.refresh_api_key_hook = read_again  # type: ignore[assignment]
