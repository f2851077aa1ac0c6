"""The official openai client against the installed chart: real operator, real renderer, real S3 server."""

from pathlib import Path

import mp4
import openai
import pytest
from cluster import Cluster, wait_for

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

PROMPT = "A squirrel riding a skateboard in Times Square"


def test_the_official_client_renders_downloads_and_stops(cluster: Cluster, tmp_path: Path) -> None:
    cluster.install()
    with openai.OpenAI(base_url=f"{cluster.api_url}/v1", api_key="unused") as client:
        quick = {"steps": 2, "seed": 42}
        video = client.videos.create_and_poll(prompt=PROMPT, seconds="1", size="64x96", extra_body=quick)
        assert video.status == "completed", video.error
        assert (video.seconds, video.size, video.progress) == ("1", "64x96", 100)

        client.videos.download_content(video.id).write_to_file(tmp_path / "video.mp4")
        decoded = mp4.decode(tmp_path / "video.mp4")
        assert (decoded.frames, decoded.fps) == (9, 8)
        for variant in ("thumbnail", "spritesheet"):
            picture = client.videos.download_content(video.id, variant=variant)
            assert picture.response.headers["content-type"] == "image/jpeg"
            assert picture.content.startswith(b"\xff\xd8\xff")

        remix = client.videos.remix(video.id, prompt=f"{PROMPT} by night", extra_body={"steps": 200})
        wait_for(lambda: cluster.pods(remix.id), "the start of the remix", seconds=120)
        assert client.videos.delete(remix.id).deleted
        wait_for(lambda: not cluster.pods(remix.id), "the end of its pod", seconds=120)
