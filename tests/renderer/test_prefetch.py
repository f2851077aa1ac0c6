"""Weights are read into the page cache beside whatever else goes on."""

from pathlib import Path

from videojob_renderer.prefetch import Prefetch


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
