"""The Dockerfiles: what the linter says, and the promises the chart relies on."""

import json
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from videojob_local.images.bill import write_bill

IMAGES = ("operator", "renderer", "api")
Stage = list[tuple[str, str]]
"""The instructions of one stage: word and arguments."""

INSTRUCTION = re.compile(r"^([A-Z]+) (.+)$")


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stages(root: Path, image: str) -> list[Stage]:
    """Return the instructions of each stage, continuation lines joined, comments left out."""
    text = re.sub(r"(?m)^ *#.*\n", "", (root / f"Dockerfile.{image}").read_text()).replace("\\\n", "")
    instructions = [(match[1], match[2]) for line in text.splitlines() if (match := INSTRUCTION.match(line))]
    starts = [index for index, (word, _) in enumerate(instructions) if word == "FROM"] + [len(instructions)]
    return [instructions[start:end] for start, end in pairwise(starts)]


def arguments(stage: Stage, word: str) -> list[str]:
    return [rest for instruction, rest in stage if instruction == word]


def test_hadolint_finds_nothing(root: Path, image: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run(
        [hadolint, root / f"Dockerfile.{image}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stdout


def test_it_runs_its_own_module_without_a_shell_as_a_numeric_user(stages: list[Stage], image: str) -> None:
    final = stages[-1]
    assert arguments(final, "USER") == ["65532:65532"]
    assert arguments(final, "ENTRYPOINT") == [f'["/opt/venv/bin/python", "-m", "videojob_{image}"]']
    assert not arguments(final, "CMD")
    assert not arguments(final, "HEALTHCHECK")


def test_every_stage_has_the_same_base_which_a_build_can_pin(stages: list[Stage]) -> None:
    earlier = {"${PYTHON_IMAGE}"}
    for stage in stages:
        base, _, name = arguments(stage, "FROM")[0].partition(" AS ")
        assert base in earlier
        earlier.add(name)


def test_pip_installs_only_what_its_hash_names(stages: list[Stage], image: str) -> None:
    installs = [
        command
        for stage in stages
        for line in arguments(stage, "RUN")
        for command in line.split("&&")
        if re.search(r"\bpip\b.* (install|wheel) ", command)
    ]
    assert len(installs) == (5 if image == "renderer" else 4)
    for command in installs:
        assert "--no-deps" in command
        assert ("--require-hashes" in command and "--only-binary=:all:" in command) or "--no-index" in command


def test_the_final_stage_installs_no_python_package(stages: list[Stage]) -> None:
    assert not [line for line in arguments(stages[-1], "RUN") if "pip" in line]


def test_only_its_own_distribution_and_the_vocabulary_are_copied_in(stages: list[Stage], image: str) -> None:
    sources = {
        line.split()[0] for stage in stages for line in arguments(stage, "COPY") if not line.startswith("--from")
    }
    assert sources == {"crds", image, "requirements/build.txt", f"requirements/{image}.txt"}


def test_it_is_labelled_last_so_that_a_version_rebuilds_nothing(stages: list[Stage]) -> None:
    assert stages[-1][-1][0] == "LABEL"
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in stages[-1][-1][1]


def test_it_stays_within_what_docker_and_podman_both_build(root: Path, image: str) -> None:
    text = (root / f"Dockerfile.{image}").read_text()
    assert not re.search(r"<<|--link|--parents|--checksum|--network", text.partition("ARG")[2])


@pytest.mark.parametrize("image", ["renderer"], indirect=True)
def test_the_renderer_sees_only_the_gpus_it_was_given(stages: list[Stage]) -> None:
    settings = " ".join(arguments(stages[-1], "ENV"))
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in settings
    assert "NVIDIA_VISIBLE_DEVICES" not in settings


@pytest.mark.parametrize("name", [*IMAGES, "build"])
def test_every_requirement_is_pinned_and_hashed(root: Path, name: str) -> None:
    text = (root / f"requirements/{name}.txt").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9-]+==\S+", line), line
        assert "--hash=sha256:" in line, line


def test_the_locked_build_backend_is_one_the_distributions_accept(root: Path) -> None:
    pinned = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (root / "requirements/build.txt").read_text()))
    for part in ("crds", *IMAGES):
        project = tomllib.loads((root / part / "pyproject.toml").read_text())
        for requirement in map(Requirement, project["build-system"]["requires"]):
            assert requirement.specifier.contains(pinned[requirement.name]), part


def test_the_build_context_is_a_list_of_what_is_allowed(root: Path) -> None:
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    for part, package in (("crds", "videojob"), *((image, f"videojob_{image}") for image in IMAGES)):
        assert {f"{part}/pyproject.toml", f"{part}/{package}/"} <= allowed
    assert all((root / path).exists() for path in allowed)


@pytest.mark.parametrize(("part", "package"), [("operator", "kopf"), ("api", "fastapi"), ("renderer", "torch")])
def test_its_bill_of_materials_lists_the_packages_that_are_installed(
    root: Path, tmp_path: Path, part: str, package: str
) -> None:
    bill = json.loads(write_bill(part, tmp_path).read_text())
    assert bill["bomFormat"] == "CycloneDX"
    listed = {entry["name"]: entry["version"] for entry in bill["components"]}
    assert package in listed
    locked = re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (root / f"requirements/{part}.txt").read_text(), re.MULTILINE)
    assert dict(locked).items() <= listed.items()
