"""Install the project's own Helm chart onto the local control plane, with values that fit one machine.

The chart is the one that goes onto GPU clusters, so its manifests, rights and probes are exercised by every demo and
every test.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from videojob_local.binaries import Binaries
from videojob_local.errors import PartFailed, UnknownDefaultModel
from videojob_local.paths import CHART, huggingface_home
from videojob_local.ports import free_port
from videojob_local.s3 import Storage
from videojob_local.tiny_models import FAMILIES

Values = dict[str, Any]
RELEASE = "videojob"
TIMEOUT_SECONDS = 120

TINY_DEFAULTS = {"numFrames": 49, "width": 192, "height": 128, "fps": 8, "steps": 20, "guidanceScale": 6.0}
"""Small enough to decode in seconds on two cores."""


def local_values(storage: Storage, *, api_port: int, tiny_models: dict[str, Path], default_model: str) -> Values:
    """Return the values that differ from the chart's own.

    Args:
        storage: the S3 server.
        api_port: port of the REST API on loopback; pods of a process node have no addresses of their own.
        tiny_models: family -> folder of a pipeline with random weights.
        default_model: what a request gets that names none.
    """
    nothing = None  # takes a default of the chart out
    api_url = f"http://127.0.0.1:{api_port}"
    return {
        "defaultModel": default_model,
        "models": {tiny_name(family): tiny_model(family, folder) for family, folder in tiny_models.items()},
        "storage": {
            "bucket": storage.bucket,
            "endpoint": storage.endpoint,
            "region": storage.region,
            "accessKeyId": storage.access_key_id,
            "secretAccessKey": storage.secret_access_key,
            "brokerUrl": api_url,  # Services have no addresses on a process node
        },
        "profiles": {
            "default": {
                "gpus": 1,
                "gpuProducts": [],
                # The person's own cache of the hub: weights are downloaded once, not into each pod.
                "env": [{"name": "HF_HOME", "value": str(huggingface_home())}],
                "tolerations": [],
                "resources": {
                    "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": nothing},
                    "limits": {"memory": nothing, "ephemeral-storage": nothing},
                },
            }
        },
        "operator": {
            "replicas": 1,  # two pods cannot listen on one port of one machine
            "updateStrategy": {"type": "Recreate"},
            "healthPort": free_port(),
            "readNodes": True,
            "resources": {"requests": {"cpu": "50m"}},
        },
        "api": {
            "host": "127.0.0.1",
            "port": api_port,
            "probeHandler": "httpGet",  # a pod's address is loopback here
            "auth": {"mode": "none"},  # whoever is on this machine already
            "requestsPerMinute": 0,
            "updateStrategy": {"type": "Recreate"},
            "drainSeconds": 0,
            "resources": {"requests": {"cpu": "50m"}},
        },
        "tests": {"apiUrl": api_url},
    }


def tiny_name(family: str) -> str:
    """Return the catalogue name of a tiny model: a name that begins or ends so promises that family."""
    return {
        "2b": "CogVideoX-tiny",
        "5b": "CogVideoX-tiny-5b",
        "1.5": "CogVideoX1.5-tiny",
        "5b-i2v": "CogVideoX-tiny-5b-I2V",
        "1.5-i2v": "CogVideoX1.5-tiny-I2V",
    }[family]


def tiny_model(family: str, folder: Path) -> Values:
    """Return the catalogue entry of a tiny model; its 49 frames are legal for all families."""
    model: Values = {"family": family, "source": str(folder), "defaults": TINY_DEFAULTS}
    if family == "5b-i2v":  # learned positions: it knows one size only
        model |= {"sizes": ["96x64"], "defaults": {**TINY_DEFAULTS, "width": 96, "height": 64}}
    return model


def require_model(binaries: Binaries, model: str | None) -> None:
    """Raise UnknownDefaultModel, with the names there are, unless a local installation knows the model."""
    listed = run_helm(binaries, Path(os.devnull), ["show", "values", str(CHART), "--jsonpath={.models}"])
    known = [*map(tiny_name, FAMILIES), *json.loads(listed)]
    if model and model not in known:
        raise UnknownDefaultModel(f"there is no model {model!r}; there are {', '.join(known)}")


def install(
    binaries: Binaries, kubeconfig: Path, namespace: str, values: Values, *overrides: str, wait: bool = True
) -> None:
    """Install the chart, or upgrade it, and wait until operator and API are ready.

    Args:
        binaries: where helm is.
        kubeconfig: an administrator's.
        namespace: made if it is not there.
        values: see `local_values`.
        overrides: further values, `key=value` as for `helm --set`.
        wait: False returns as soon as the API server has the objects.

    Raises:
        PartFailed: helm's own words.
    """
    command = [
        *("upgrade", RELEASE, str(CHART), "--install", "--create-namespace", f"--namespace={namespace}"),
        *("--values=-", f"--timeout={TIMEOUT_SECONDS}s"),
        *(f"--set={override}" for override in overrides),
        *(["--wait"] if wait else []),
    ]
    run_helm(binaries, kubeconfig, command, json.dumps(values))


def uninstall(binaries: Binaries, kubeconfig: Path, namespace: str) -> None:
    """Remove the release; its VideoJobs stay."""
    run_helm(binaries, kubeconfig, ["uninstall", RELEASE, f"--namespace={namespace}", "--ignore-not-found"])


def run_helm(binaries: Binaries, kubeconfig: Path, arguments: list[str], stdin: str = "") -> str:
    """Run helm and return what it prints.

    Raises:
        PartFailed: helm's own words.
    """
    environment = dict(
        os.environ, KUBECONFIG=str(kubeconfig), PATH=f"{binaries.folder}{os.pathsep}{os.environ['PATH']}"
    )
    result = subprocess.run(
        [binaries["helm"], *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise PartFailed(f"helm {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout
