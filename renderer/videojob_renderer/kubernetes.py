"""The renderer's one door to the Kubernetes API: merge patches of the status of its own VideoJob.

The pod's bound token is read again for every request, because the kubelet rewrites it. A uid in the patch's metadata
would be no guard, because for a status the API server overlooks it (seen on 1.36): so every patch names it in
`renderer.videoJobUid`, where the chart's admission policy compares it. Where that policy is not installed we look at
the uid of the answer, and a pod whose VideoJob was deleted and made anew ends after one stray write, which names that
pod. The answer holds the whole VideoJob, prompt included, and is never logged.
"""

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from videojob.resource import GROUP, PLURAL, VERSION
from videojob_renderer.environment import Settings
from videojob_renderer.errors import StatusUnavailable

_TIMEOUT_SECONDS = 10.0

_WORTH_ANOTHER_TRY = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,  # the token has just rotated
        HTTPStatus.FORBIDDEN,  # the API server has not seen our Role yet
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,  # the operator wrote at the same time
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class ApiServerAway(Exception):
    """The API server did not answer, or asked for another try."""


class StatusClient:
    """Patches the status of one VideoJob.

    Args:
        settings: which VideoJob, on which API server, with which token.
    """

    def __init__(self, settings: Settings) -> None:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{settings.namespace}/{PLURAL}/{settings.name}/status"
        self._path = path
        self._uid = settings.uid
        self._token_file = settings.token_dir / "token"
        # Inside a pod the API server is reached directly, whatever HTTPS_PROXY says.
        self._http = httpx.Client(
            base_url=settings.api_server,
            verify=_trust(settings.token_dir / "ca.crt"),
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )

    def patch(self, status: dict[str, Any]) -> None:
        """Merge a part of the status into the VideoJob.

        Raises:
            ApiServerAway: another try may help.
            StatusUnavailable: no other try will help: the VideoJob is gone or another one, or the patch is wrong.
        """
        signed = {**status, "renderer": {**status.get("renderer", {}), "videoJobUid": self._uid}}
        try:
            answer = self._http.patch(self._path, json={"status": signed}, headers=self._headers())
        except (httpx.HTTPError, OSError) as error:
            raise ApiServerAway(f"{type(error).__name__}: {error}") from error
        if answer.is_success:
            self._hold_own(answer.json())
            return
        message = f"the API server answered {answer.status_code} to the status: {_message_of(answer)}"
        if not (answer.is_server_error or answer.status_code in _WORTH_ANOTHER_TRY):
            raise StatusUnavailable(message)
        raise ApiServerAway(message)

    def _hold_own(self, videojob: dict[str, Any]) -> None:
        if videojob["metadata"]["uid"] != self._uid:
            raise StatusUnavailable("the VideoJob of this pod was deleted, and another one has its name now")

    def _headers(self) -> dict[str, str]:
        token = self._token_file.read_text().strip()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise StatusUnavailable(f"cannot read the cluster's CA certificate {ca_file}: {error}") from error


def _message_of(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
