"""Where a video comes from, written into the file itself, because a video outlives the place it was found in.

It travels with the video to whoever sees it, so it says nothing private: of the prompt only the sha256 (who guesses a
prompt can confirm it, nobody can read it), of the job nothing. Equal requests of two jobs give the same bytes, and
which job made which file stands in the manifest beside it, by its sha256.
"""

import hashlib
import json

from videojob.resolve import ResolvedRequest
from videojob.status import RendererReport

AI_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for media that a trained model made; what other tools look for."""


def provenance(request: ResolvedRequest, seed: int, report: RendererReport) -> str:
    """Return the comment of the video: one line of JSON.

    Args:
        request: what was rendered.
        seed: the one that was used.
        report: with what.
    """
    said = {
        "generator": f"videojob {report.version}",
        "digitalSourceType": AI_GENERATED,
        "model": request.model,
        "modelRevision": report.model_revision,
        "dtype": report.dtype,
        "seed": seed,
        "steps": request.steps,
        "guidanceScale": request.guidance_scale,
        "promptSha256": sha256_of(request.prompt),
        "negativePromptSha256": sha256_of(request.negative_prompt) if request.negative_prompt else None,
        "torch": report.torch,
        "diffusers": report.diffusers,
    }
    return json.dumps({key: value for key, value in said.items() if value is not None}, separators=(",", ":"))


def sha256_of(text: str) -> str:
    """Return the sha256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()
