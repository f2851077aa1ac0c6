"""The peer of the benchmark: the same four routes over a dict. Nothing survives its end, and nobody else can see it.

Run by `uvicorn in_memory:app`.
"""

import uuid
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

app = FastAPI()
jobs: dict[str, dict[str, Any]] = {}


class Wish(BaseModel):
    """What to render."""

    prompt: str
    num_frames: int = 49
    guidance_scale: float = 6.0
    seed: int | None = None
    fps: int = 8


@app.post("/generate")
async def generate(wish: Wish) -> dict[str, str]:
    """Take a job in."""
    job_id = str(uuid.uuid4())
    jobs[job_id] = {"job_id": job_id, "status": "pending", "request": wish.model_dump()}
    return {"job_id": job_id, "status": "pending"}


@app.get("/status/{job_id}")
async def status(job_id: str) -> dict[str, Any]:
    """Tell where a job stands."""
    if job_id not in jobs:
        raise HTTPException(404)
    return {"job_id": job_id, "status": jobs[job_id]["status"]}


@app.get("/video/{job_id}")
async def video(job_id: str) -> Response:
    """Give the video."""
    if job_id not in jobs:
        raise HTTPException(404)
    return Response(b"", media_type="video/mp4")


@app.get("/health")
async def health() -> dict[str, int]:
    """Tell how many jobs there are."""
    return {"active_jobs": len(jobs), "completed_jobs": 0}
