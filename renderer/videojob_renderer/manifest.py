"""The manifest beside a video: everything that is needed to make the same video again, and to tell that it is the same.

Unlike the video's own metadata it holds the whole request, prompt included: it lies in the bucket for those who may
read the bucket, and is served to nobody else.
"""

from datetime import datetime
from typing import Any

from videojob.resolve import ResolvedRequest
from videojob.resource import API_VERSION
from videojob.status import Artifacts, RendererReport
from videojob_renderer.provenance import AI_GENERATED

KIND = "RenderManifest"


def build_manifest(
    job: dict[str, str],
    request: ResolvedRequest,
    seed: int,
    *,
    report: RendererReport,
    files: Artifacts,
    now: datetime,
) -> dict[str, Any]:
    """Return the manifest as JSON values.

    Args:
        job: name, namespace, uid and podName of the attempt.
        request: as the renderer got it; without a seed where the renderer drew one.
        seed: the one that was used.
        report: with what was rendered, and how long each stage took up to the upload.
        files: everything that was uploaded so far, each with its sha256.
        now: the time to write down.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "createdTime": now.isoformat(timespec="seconds"),
        "digitalSourceType": AI_GENERATED,
        "job": job,
        "request": request.dump(),
        "resolved": request.values_for_status() | {"seed": seed},
        "renderer": report.dump(),
        "files": files.dump(),
    }
