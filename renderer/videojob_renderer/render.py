"""One render from beginning to end, stage by stage. This is the first module that imports torch."""

import diffusers
import torch

from videojob.phases import Stage
from videojob.status import Artifacts
from videojob_renderer.checkpoint_store import CheckpointStore
from videojob_renderer.decode import count_chunks, decode
from videojob_renderer.denoise import padding_latent_frames
from videojob_renderer.denoise_stage import encode, make_plan, run_denoise_stage
from videojob_renderer.embeddings import PromptEmbeddings, texts_of
from videojob_renderer.environment import Settings
from videojob_renderer.image_input import read_image
from videojob_renderer.interruption import Interruption
from videojob_renderer.objects import Objects
from videojob_renderer.outputs import output_files
from videojob_renderer.pipeline import load
from videojob_renderer.provenance import provenance
from videojob_renderer.publish import publish
from videojob_renderer.report import Reporter
from videojob_renderer.resume import Found
from videojob_renderer.scratch import scratch_folder
from videojob_renderer.speed.accelerate import accelerate
from videojob_renderer.upload import Uploader

_EMBEDDINGS_PATIENCE_SECONDS = 10.0
"""They were on their way during all of the denoising; what is still not there then is not worth waiting for."""


def render(
    settings: Settings,
    storage: Objects,
    *,
    store: CheckpointStore,
    uploader: Uploader,
    reporter: Reporter,
    interruption: Interruption,
) -> Artifacts:
    """Render a request and upload its files.

    Args:
        settings: what to render, and for whom.
        storage: has the input image.
        store: has the checkpoint of an earlier pod, and takes ours.
        uploader: takes the files.
        reporter: is told every stage and step; it is in stage Loading already.
        interruption: asked to hold each denoising step together.

    Raises:
        RendererError: of any kind.
        Interrupted: the process was asked to stop.
    """
    request = settings.request
    # Before the weights are loaded: a wrong image is told at once.
    image = read_image(request.image, settings, storage) if request.image else None
    cache = storage if settings.speed.embedding_cache else None
    prompts = PromptEmbeddings(texts_of(request), cache, settings)
    loaded = load(request, prompts.look_up, settings.gpus)
    reporter.describe(
        torch=torch.__version__,
        diffusers=diffusers.__version__,
        dtype=str(loaded.dtype).removeprefix("torch."),
        model_revision=loaded.revision,
    )
    accelerated = accelerate(loaded.pipeline, request, settings.speed, device=loaded.device, dtype=loaded.dtype)
    found = Found.read(store.found())
    accelerated.follow(found.fingerprint)
    reporter.describe(speed=accelerated.applied(prompts.state))
    plan = make_plan(loaded, request, image, found, accelerated.arithmetic)
    beginning = plan.beginning
    reporter.describe(resumed_from_step=beginning.step or None, checkpoint_ignored=beginning.ignored)
    reporter.enter(Stage.ENCODING)
    if request.seed is None:
        reporter.drew_seed(beginning.seed)
    conditioning = encode(loaded, request, image, plan, prompts.encode(loaded.pipeline, loaded.device))
    reporter.describe(**prompts.tokens_cut())
    reporter.enter(Stage.DENOISING, done=beginning.step, total=request.steps)
    latents = run_denoise_stage(
        loaded,
        plan,
        conditioning,
        store=store,
        interruption=interruption,
        ladder=accelerated.ladder,
        speed=lambda: accelerated.arithmetic,
        hooks=(lambda state: reporter.advance(state.step, request.steps),),
    )
    latents = latents[:, padding_latent_frames(loaded.pipeline, request.num_frames) :]
    accelerated.ladder.release_transformer()
    with scratch_folder() as folder:
        reporter.enter(Stage.DECODING)
        comment = provenance(request, beginning.seed, reporter.account())
        with output_files(folder, request, comment) as files:
            chunks = count_chunks(loaded.pipeline, latents)
            for done, frames in enumerate(decode(loaded.pipeline, latents, accelerated.ladder.may_tile), start=1):
                files.write(frames)
                reporter.advance(done, chunks)
        reporter.describe(peak_memory_bytes=_peak_memory_bytes(loaded.device), speed=accelerated.applied(prompts.state))
        reporter.enter(Stage.UPLOADING)
        prompts.close(_EMBEDDINGS_PATIENCE_SECONDS)
        return publish(files, request, beginning.seed, uploader, reporter)


def _peak_memory_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else None
