"""Ask for a video, wait for it, download it: a client of the REST API that knows four routes and nothing else.

python examples/demo.py [FILE]        # BASE_URL=http://localhost:8000, POLL_SECONDS=5, API_KEY=…
"""

import os
import sys
import time
from pathlib import Path

import requests

BASE_URL = os.environ.get("BASE_URL", "http://localhost:8000").rstrip("/")
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "5"))
SESSION = requests.Session()
if os.environ.get("API_KEY"):
    SESSION.headers["Authorization"] = f"Bearer {os.environ['API_KEY']}"
REQUEST = {
    "prompt": "A squirrel riding a skateboard in Times Square",
    "num_frames": 49,
    "guidance_scale": 4.5,
    "seed": 42,
    "fps": 12,
}


def generate() -> str:
    """Ask for a video and return the id of its job."""
    response = SESSION.post(f"{BASE_URL}/generate", json=REQUEST, timeout=30)
    response.raise_for_status()
    job = response.json()
    print(f"POST /generate -> {job['job_id']} {job['status']}", flush=True)
    return str(job["job_id"])


def wait(job_id: str) -> str:
    """Ask for the status until the job has ended, and return the last one."""
    while True:
        response = SESSION.get(f"{BASE_URL}/status/{job_id}", timeout=30)
        response.raise_for_status()
        status = str(response.json()["status"])
        print(f"GET /status/{job_id} -> {status}", flush=True)
        if status in {"completed", "failed"}:
            return status
        time.sleep(POLL_SECONDS)


def download(job_id: str, file: Path) -> None:
    """Write the video to a file."""
    with SESSION.get(f"{BASE_URL}/video/{job_id}", stream=True, timeout=60) as response:
        response.raise_for_status()
        with file.open("wb") as video:
            for chunk in response.iter_content(chunk_size=1 << 20):
                video.write(chunk)
    print(f"GET /video/{job_id} -> {file} ({file.stat().st_size} bytes)", flush=True)


def main() -> None:
    """Run the whole job, and end with what the service says of itself."""
    job_id = generate()
    if wait(job_id) == "failed":
        sys.exit(f"demo: {job_id} failed")
    download(job_id, Path(sys.argv[1] if len(sys.argv) > 1 else f"{job_id}.mp4"))
    health = SESSION.get(f"{BASE_URL}/health", timeout=30)
    health.raise_for_status()
    print(f"GET /health -> {health.json()}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except requests.HTTPError as error:
        sys.exit(f"demo: {error}: {error.response.text}")
    except requests.RequestException as error:
        sys.exit(f"demo: {BASE_URL} does not answer ({type(error).__name__})")
    except KeyboardInterrupt:
        sys.exit(130)
