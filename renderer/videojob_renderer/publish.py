"""Uploads the files of a render, the manifest that speaks of them all last.

Nothing here makes the render a success: that is the write of the status that follows.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from videojob.resolve import ResolvedRequest
from videojob.status import Artifact, Artifacts, Spritesheet
from videojob_renderer.manifest import build_manifest
from videojob_renderer.outputs import OutputFiles, Picture
from videojob_renderer.report import Reporter
from videojob_renderer.upload import Uploader

MANIFEST_NAME = "manifest.json"


def publish(
    files: OutputFiles, request: ResolvedRequest, seed: int, uploader: Uploader, reporter: Reporter
) -> Artifacts:
    """Upload the files of a request and return what the status says of them.

    Raises:
        StorageUnavailable: S3 refused one, or stayed away.
    """
    sheet = _picture(files.spritesheet, uploader)
    uploaded = Artifacts(
        video=_video(uploader.upload(files.video, "video/mp4"), request),
        thumbnail=_picture(files.thumbnail, uploader),
        spritesheet=Spritesheet.model_validate(sheet.model_dump() | asdict(files.grid)),
    )
    manifest = build_manifest(
        reporter.job, request, seed, report=reporter.account(), files=uploaded, now=datetime.now(UTC)
    )
    path = Path(files.video.parent, MANIFEST_NAME)
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return uploaded.model_copy(update={"manifest": uploader.upload(path, "application/json")})


def _picture(picture: Picture, uploader: Uploader) -> Artifact:
    artifact = uploader.upload(picture.path, "image/jpeg")
    return artifact.model_copy(update={"width": picture.width, "height": picture.height})


def _video(artifact: Artifact, request: ResolvedRequest) -> Artifact:
    fields = {
        "width": request.width,
        "height": request.height,
        "frames": request.num_frames,
        "fps": request.fps,
        "duration_seconds": round(request.num_frames / request.fps, 3),
    }
    return artifact.model_copy(update=fields)
