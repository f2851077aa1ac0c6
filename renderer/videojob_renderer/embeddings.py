"""Embeddings of prompts, kept in the bucket: a prompt that was seen before needs no text encoder.

The encoder (T5-XXL) is 9.5 of the 13 or 21 GB of a model and is used for milliseconds. An entry is one text: prompt
and negative prompt are encoded apart, so the empty negative prompt is known after the first render. The key says all
that the numbers depend on, to the bit: the files of encoder and tokenizer, the padded length, the type, the device.
An entry that is damaged, or not what its key promises, is made anew. A namespace sees its own entries only: another
one's might lie, and tell what is asked for there. None of this ever fails a render.
"""

import hashlib
import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from videojob.names import embedding_key
from videojob.resolve import ResolvedRequest
from videojob_renderer.environment import Settings
from videojob_renderer.errors import RendererError
from videojob_renderer.fingerprint import device_name
from videojob_renderer.objects import Objects, ObjectTooLarge, StorageAway
from videojob_renderer.prefetch import Prefetch

_log = logging.getLogger(__name__)

MAX_TOKENS = 226
"""To which every prompt is padded or cut."""

_MAX_BYTES = 32 * 2**20
_TENSOR = "embedding"
_DIGEST = "sha256"
_TOKENS = "tokens"
_SAMPLE_BYTES = 2**20
_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What a text is to the transformer.

    Attributes:
        numbers: (1, tokens, width)
        tokens: of the text, those cut off included; None for an entry of a version that did not write them down.
    """

    numbers: torch.Tensor
    tokens: int | None

    @property
    def tokens_cut(self) -> int | None:
        """How many tokens at its end the model does not read; None where it reads all, or that is not known."""
        return max(0, (self.tokens or 0) - MAX_TOKENS) or None


def encoder_digest(folder: Path) -> str:
    """Tell text encoders and tokenizers apart by names, sizes and samples of their files; all of 9.5 GB takes too long.

    Args:
        folder: of a diffusers model.
    """
    digest = hashlib.sha256()
    for component in ("text_encoder", "tokenizer"):
        for file in sorted(path for path in (folder / component).glob("*") if path.is_file()):
            size = file.stat().st_size
            digest.update(f"{component}/{file.name} {size}\n".encode())
            with file.open("rb") as opened:
                for position in (0, size // 2, max(size - _SAMPLE_BYTES, 0)):
                    opened.seek(position)
                    digest.update(opened.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def embedding_digest(*, encoder: str, device: str, dtype: torch.dtype, text: str) -> str:
    """Say what the embedding of a text is called in the bucket.

    Args:
        encoder: from `encoder_digest`.
        device: name of the GPU, or `cpu`: each rounds its own way.
        dtype: of the encoder.
        text: the prompt, which cannot be read off the key.
    """
    parts = "|".join((encoder, device, str(dtype), str(MAX_TOKENS), text))
    return hashlib.sha256(parts.encode()).hexdigest()


class PromptEmbeddings:
    """The embeddings of one request's texts: fetched from the bucket as far as it has them, else made and kept there.

    Args:
        texts: in the order of the batch.
        storage: where the bucket is; None = make all, keep none.
        settings: whose bucket and namespace.
    """

    def __init__(self, texts: tuple[str, ...], storage: Objects | None, settings: Settings) -> None:
        self._texts = texts
        self._storage = storage
        self._bucket = settings.bucket
        self._prefix = settings.prefix
        self._namespace = settings.namespace
        self._keys: dict[str, str] = {}
        self._known: dict[str, Embedding] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embeddings")
        self._puts: list[Future[None]] = []
        self.state = "off" if storage is None else "miss"

    def look_up(self, folder: Path, device: torch.device, dtype: torch.dtype) -> bool:
        """Fetch what the bucket has; return whether the text encoder is needed."""
        if self._storage is None:
            return True
        try:
            encoder, name = encoder_digest(folder), device_name(device)
        except OSError:
            self._storage = None  # whoever loads the files will say what is wrong with them
            return True
        for text in self._texts:
            digest = embedding_digest(encoder=encoder, device=name, dtype=dtype, text=text)
            key = embedding_key(self._prefix, self._namespace, digest)
            self._keys[text] = key
            embedding = self._get(self._storage, key)
            if embedding is not None and embedding.numbers.dtype is dtype:
                self._known[text] = embedding
        missing = set(self._texts) - self._known.keys()
        self.state = "miss" if missing else "hit"
        if missing:
            Prefetch(folder, ("text_encoder",))
        return bool(missing)

    @torch.inference_mode()
    def encode(self, pipeline: Any, device: torch.device) -> torch.Tensor:  # (texts, tokens, width)
        """Return the embeddings of all texts, and let go of the text encoder."""
        for text in dict.fromkeys(self._texts):
            if text not in self._known:
                tokens = len(pipeline.tokenizer(text).input_ids)
                self._known[text] = Embedding(pipeline.encode_prompt(text, None, False)[0], tokens)
                self._keep(text)
        pipeline.text_encoder = pipeline.tokenizer = None
        return torch.cat([self._known[text].numbers.to(device) for text in self._texts])

    def tokens_cut(self) -> dict[str, int | None]:
        """Say how many tokens of each text, once encoded, the model does not read: by the names of the report."""
        cut = [self._known[text].tokens_cut for text in self._texts]
        if any(cut):
            _log.warning(
                "a prompt is too long, its end is cut off", extra={"tokens_cut": cut, "max_tokens": MAX_TOKENS}
            )
        *negative, prompt = cut
        return {"prompt_tokens_cut": prompt, "negative_prompt_tokens_cut": negative[0] if negative else None}

    def close(self, patience_seconds: float) -> None:
        """Wait for what is being kept."""
        wait_for(self._puts, timeout=patience_seconds)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _keep(self, text: str) -> None:
        if self._storage is not None:
            body = _encoded(self._known[text])
            self._puts.append(self._thread.submit(self._put, self._storage, self._keys[text], body))

    def _get(self, storage: Objects, key: str) -> Embedding | None:
        try:
            body = storage.get(self._bucket, key, _MAX_BYTES)
        except (StorageAway, ObjectTooLarge, RendererError) as error:
            _log.warning("the cache of embeddings cannot be read: %s", error)
            return None
        return None if body is None else _decoded(body)

    def _put(self, storage: Objects, key: str, body: bytes) -> None:
        try:
            storage.put(self._bucket, key, body, _CONTENT_TYPE)
        except (StorageAway, RendererError) as error:
            _log.warning("the cache of embeddings cannot be written: %s", error)


def texts_of(request: ResolvedRequest) -> tuple[str, ...]:
    """Return the texts that a render needs the embeddings of: with guidance, the negative prompt before the prompt."""
    return (request.negative_prompt, request.prompt) if request.guidance_scale > 1 else (request.prompt,)


def _encoded(embedding: Embedding) -> bytes:
    # The count is a tensor: two words of metadata are written in any order, and equal entries would differ.
    tensors = {_TENSOR: embedding.numbers.cpu().contiguous(), _TOKENS: torch.tensor(embedding.tokens or 0)}
    _, content = _parts(save(tensors))
    return save(tensors, {_DIGEST: hashlib.sha256(content).hexdigest()})


def _decoded(body: bytes) -> Embedding | None:
    try:
        metadata, content = _parts(body)
        tensors = load(body) if metadata[_DIGEST] == hashlib.sha256(content).hexdigest() else {}
        embedding = Embedding(tensors[_TENSOR], int(tensors[_TOKENS]) if _TOKENS in tensors else None)
    except (SafetensorError, ValueError, KeyError):
        embedding = None
    if embedding is None or embedding.numbers.dim() != 3 or embedding.numbers.shape[:2] != (1, MAX_TOKENS):
        _log.warning("an entry of the cache of embeddings is damaged, it is made anew")
        return None
    return embedding


def _parts(body: bytes) -> tuple[dict[str, str], bytes]:
    """Split a safetensors file, which is the length of its header, the header as JSON, the numbers."""
    end = 8 + int.from_bytes(body[:8], "little")
    return json.loads(body[8:end]).get("__metadata__", {}), body[end:]
