"""What the operator hands over: the environment read once, checked whole, frozen.

S3 credentials are not here: boto3 reads its own variables. Nothing in this module imports torch, so that a wrong
environment is told within a second.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from videojob import environment as variables
from videojob.errors import violations
from videojob.families import FAMILY_DEFAULTS, MAX_AREA, SIZE_MULTIPLE
from videojob.resolve import ResolvedRequest
from videojob.speed import SpeedOptions
from videojob.tracing import legal_traceparent
from videojob_renderer.errors import InvalidEnvironment, InvalidRequest

DEFAULT_CHECKPOINT_SECONDS = 10.0
DEFAULT_PROGRESS_SECONDS = 2.0
"""What a pod that is killed without a warning loses at most, and some."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a render needs to know.

    Attributes:
        api_server: URL of the Kubernetes API server.
        token_dir: folder with `token` and `ca.crt`, rewritten by the kubelet when they rotate.
        image: the image this process runs in, where the operator told it.
        checkpoint_seconds: at least so long between two checkpoints; 0 = one after each step.
        progress_seconds: at least so long between two writes of progress within a stage.
        speed: the profile's wishes.
        traceparent: of the trace that the request belongs to; None = of none.
        broker_url: of the API, which signs requests to S3; None = the pod has keys of S3.
        gpus: that the profile gives the pod.
    """

    name: str
    namespace: str
    uid: str
    pod_name: str
    api_server: str
    token_dir: Path
    bucket: str
    prefix: str
    image: str | None
    request: ResolvedRequest = field(repr=False)  # holds the prompt
    checkpoint_seconds: float = DEFAULT_CHECKPOINT_SECONDS
    progress_seconds: float = DEFAULT_PROGRESS_SECONDS
    speed: SpeedOptions = field(default_factory=SpeedOptions)
    traceparent: str | None = None
    broker_url: str | None = None
    gpus: int = 0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check the environment.

    Raises:
        InvalidEnvironment: a variable is missing, all missing ones are named; or is no number, or no speed options.
        InvalidRequest: the request is not JSON, or breaks a rule; field and rule are named, its values are not.
    """
    required = (
        variables.NAME,
        variables.NAMESPACE,
        variables.UID,
        variables.POD_NAME,
        variables.REQUEST,
        variables.TOKEN_DIR,
        variables.S3_BUCKET,
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
    )
    if missing := [name for name in required if not environ.get(name)]:
        raise InvalidEnvironment(f"the renderer's environment lacks {', '.join(missing)}")
    return Settings(
        name=environ[variables.NAME],
        namespace=environ[variables.NAMESPACE],
        uid=environ[variables.UID],
        pod_name=environ[variables.POD_NAME],
        api_server=_api_server(environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]),
        token_dir=Path(environ[variables.TOKEN_DIR]),
        bucket=environ[variables.S3_BUCKET],
        prefix=environ.get(variables.S3_PREFIX, ""),
        image=environ.get(variables.IMAGE) or None,
        request=_request(environ[variables.REQUEST]),
        checkpoint_seconds=_seconds(environ, variables.CHECKPOINT_SECONDS, DEFAULT_CHECKPOINT_SECONDS),
        progress_seconds=_seconds(environ, variables.PROGRESS_SECONDS, DEFAULT_PROGRESS_SECONDS),
        speed=_speed(environ.get(variables.SPEED) or "{}"),
        traceparent=legal_traceparent(environ.get(variables.TRACEPARENT)),
        broker_url=environ.get(variables.BROKER_URL) or None,
        gpus=_count(environ, variables.GPUS),
    )


def termination_log(environ: Mapping[str, str]) -> Path:
    """Say where the last words go; never fails, because they may be about the environment itself."""
    return Path(environ.get(variables.TERMINATION_LOG) or variables.TERMINATION_LOG_PATH)


def _api_server(host: str, port: str) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidEnvironment(f"{name} must be a number of seconds, at least 0, not {text!r}")
    return seconds


def _count(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or "0"
    if not text.isdecimal():
        raise InvalidEnvironment(f"{name} must be a whole number, at least 0, not {text!r}")
    return int(text)


def _request(text: str) -> ResolvedRequest:
    try:
        request = ResolvedRequest.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"{variables.REQUEST} is not JSON: {error.msg} at character {error.pos}") from None
    except ValidationError as error:
        # pydantic's own text quotes the values, so also the prompt.
        wrong = "; ".join(f"{violation.field} {violation.message}".strip() for violation in violations(error))
        raise InvalidRequest(f"{variables.REQUEST}: {wrong}") from None
    _check(request)
    return request


def _speed(text: str) -> SpeedOptions:
    try:
        return SpeedOptions.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidEnvironment(f"{variables.SPEED} is not JSON: {error.msg} at character {error.pos}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{violation.field} {violation.message}".strip() for violation in violations(error))
        raise InvalidEnvironment(f"{variables.SPEED}: {wrong}") from None


def _check(request: ResolvedRequest) -> None:
    """Hold what the operator has resolved already: wrong sizes would only crash after the weights are loaded."""
    frames = FAMILY_DEFAULTS[request.family].frames
    rules = {
        "prompt must not be blank": bool(request.prompt.strip()),
        f"numFrames must be {frames}": frames.allows(request.num_frames),
        f"width must be a multiple of {SIZE_MULTIPLE}": _is_side(request.width),
        f"height must be a multiple of {SIZE_MULTIPLE}": _is_side(request.height),
        f"width times height must be at most {MAX_AREA}": request.width * request.height <= MAX_AREA,
        "fps must be at least 1": request.fps >= 1,
        "steps must be at least 1": request.steps >= 1,
        "guidanceScale must be at least 0": request.guidance_scale >= 0,
        "seed must be from 0 to 9223372036854775807": request.seed is None or 0 <= request.seed < 2**63,
        "image is required by image-to-video models": bool(request.image) or not request.family.takes_image,
        "image is for image-to-video models only": not request.image or request.family.takes_image,
        "dtype must be float16, bfloat16 or float32": request.dtype in {"float16", "bfloat16", "float32"},
    }
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise InvalidRequest("; ".join(broken))


def _is_side(pixels: int) -> bool:
    return pixels > 0 and pixels % SIZE_MULTIPLE == 0
