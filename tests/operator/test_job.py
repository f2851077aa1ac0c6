"""The Job of a VideoJob, compared whole with golden files (written anew with UPDATE_GOLDEN=1)."""

import json
import os
from pathlib import Path

import pytest
import yaml
from tests.operator.worlds import SETTINGS, Manifest, video_job

from videojob.request import VideoJobRequest
from videojob.resolve import ResolvedRequest, resolve
from videojob_operator.job import build_job

GOLDEN = Path(__file__).resolve().parents[1] / "data/operator"
PLAIN = video_job()
FULL = video_job(
    request={"prompt": "It costs $(HOME) and $5", "negativePrompt": "blurry", "seed": 42, "fps": 12},
    profile="h100",
    suspend=True,
    backoffLimit=0,
    activeDeadlineSeconds=600,
    labels={"kueue.x-k8s.io/queue-name": "gpu", "team": "film"},
)


def built(manifest: Manifest) -> Manifest:
    resolved = resolve(VideoJobRequest.model_validate(manifest["spec"]["request"]), SETTINGS.catalogue)
    return build_job(manifest, resolved, SETTINGS.profiles[manifest["spec"]["profile"]], SETTINGS)


@pytest.mark.parametrize(("name", "manifest"), [("job-plain", PLAIN), ("job-full", FULL)])
def test_the_job_is_as_the_golden_file(name: str, manifest: Manifest) -> None:
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(built(manifest), sort_keys=False, width=120))
    assert built(manifest) == yaml.safe_load(path.read_text())


def test_the_request_reaches_the_renderer_whole_and_is_not_expanded_by_the_kubelet() -> None:
    (container,) = built(FULL)["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    assert "$" not in variables["VIDEOJOB_REQUEST"]
    request = ResolvedRequest.model_validate_json(variables["VIDEOJOB_REQUEST"])
    assert request.prompt == "It costs $(HOME) and $5"
    assert request.seed == 42


def test_the_prompt_stands_in_one_environment_variable_and_nowhere_else() -> None:
    manifest = built(PLAIN)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["env"] = [variable for variable in container["env"] if variable["name"] != "VIDEOJOB_REQUEST"]
    assert "squirrel" not in json.dumps(manifest).replace('"squirrel"', "")
    assert "A squirrel" not in json.dumps(manifest)
