"""ConfigMaps and Secrets of a Pod's namespace, as bytes by key."""

import base64

from videojob_local.node.client import ApiClient
from videojob_local.node.errors import ApiError
from videojob_local.node.manifest import Manifest

_PLURALS = {"configMap": "configmaps", "secret": "secrets"}


class Sources:
    """Reads ConfigMaps and Secrets; each time anew, since they may have changed between two starts of a container."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def read(self, namespace: str, kind: str, reference: Manifest, *, binary: bool = False) -> dict[str, bytes]:
        """Return the keys of one object.

        Args:
            namespace: of the Pod.
            kind: `configMap` or `secret`.
            reference: with `name` (Secret volumes: `secretName`) and perhaps `optional`.
            binary: with a ConfigMap's binaryData, which may hold NULs: for files only.

        Raises:
            ApiError: 404 where it is missing and not optional; 403 while the authorizer does not know of the Pod yet.
        """
        name = reference.get("name") or reference["secretName"]
        try:
            found = await self._api.call("GET", f"/api/v1/namespaces/{namespace}/{_PLURALS[kind]}/{name}")
        except ApiError as error:
            if error.status == 404 and reference.get("optional"):
                return {}
            raise
        if kind == "secret":
            return _decoded(found.get("data", {}))
        plain = {key: value.encode() for key, value in found.get("data", {}).items()}
        return plain | (_decoded(found.get("binaryData", {})) if binary else {})


def _decoded(data: dict[str, str]) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in data.items()}
