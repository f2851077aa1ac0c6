"""Weights are read into the page cache beside whatever else goes on."""

from collections.abc import Callable
from pathlib import Path

from renderer_process import environment

from videojob.resolve import ResolvedRequest
from videojob_renderer.environment import read_settings
from videojob_renderer.models.cache import ModelCache
from videojob_renderer.models.folder import FolderSource
from videojob_renderer.prefetch import Prefetch, prefetch_model

SIZES = {"transformer": 40_000, "vae": 100, "text_encoder": 7}


def make_model(folder: Path) -> Path:
    """Write what looks like a model to whoever does not load it."""
    for component, size in SIZES.items():
        (folder / component).mkdir(parents=True)
        (folder / component / "model.safetensors").write_bytes(bytes(size))
    return folder


def test_the_weights_of_the_components_are_read_whole_and_nothing_else(tmp_path: Path) -> None:
    for component, name, size in (
        ("transformer", "a-00001-of-00002.safetensors", 40_000_000),
        ("transformer", "a-00002-of-00002.safetensors", 1000),
        ("transformer", "config.json", 50),
        ("vae", "b.safetensors", 100),
        ("text_encoder", "model.safetensors", 7),
    ):
        (tmp_path / component).mkdir(exist_ok=True)
        (tmp_path / component / name).write_bytes(bytes(size))
    prefetch = Prefetch(tmp_path, ("transformer", "vae"))
    prefetch.join()
    assert prefetch.bytes_read == 40_001_100


def test_a_model_that_is_not_there_or_cannot_be_read_is_left_to_the_loader(tmp_path: Path) -> None:
    Prefetch(tmp_path / "none", ("transformer",)).join()
    (tmp_path / "vae/model.safetensors").mkdir(parents=True)
    prefetch = Prefetch(tmp_path, ("vae",))
    prefetch.join()
    assert prefetch.bytes_read == 0


def bytes_prefetched(request: ResolvedRequest, cache: Path, speed: str = "{}") -> int | None:
    told = environment(request, api_port=1, token_dir=Path("/token"), storage={}) | {"VIDEOJOB_SPEED": speed}
    prefetch = prefetch_model(read_settings(told), {"VIDEOJOB_MODEL_CACHE": str(cache)})
    if prefetch is None:
        return None
    prefetch.join()
    return prefetch.bytes_read


def test_a_model_is_prefetched_from_the_cache_that_it_is_staged_in(
    make_request: Callable[..., ResolvedRequest], model_folder: Path, tmp_path: Path
) -> None:
    """By the name that the catalogue gives it: a repository of the hub is no folder of the pod."""
    source = FolderSource(str(model_folder))
    source.name = "studio/squirrels"
    request = make_request(source=source.name)
    assert bytes_prefetched(request, tmp_path) is None
    ModelCache(tmp_path).stage(source)
    files = [file for part in ("transformer", "vae") for file in (model_folder / part).glob("*.safetensors")]
    assert bytes_prefetched(request, tmp_path) == sum(file.stat().st_size for file in files) > 0


def test_the_text_encoder_is_prefetched_where_every_prompt_needs_it(
    make_request: Callable[..., ResolvedRequest], tmp_path: Path
) -> None:
    request = make_request(source=str(make_model(tmp_path / "model")))
    assert bytes_prefetched(request, tmp_path / "cache") == 40_100
    assert bytes_prefetched(request, tmp_path / "cache", '{"embeddingCache": false}') == 40_107
