"""`videojob-renderer fetch`: bring a model into a cache folder before anybody waits for it with a GPU in hand.

Run by a person, a Job or an init container of a DaemonSet. Its log goes to stderr; stdout is the model's folder alone,
so that a script can use it.
"""

import argparse
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from videojob import environment as variables
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError
from videojob.exits import ExitCode
from videojob.phases import Stage
from videojob.termination import TerminationMessage
from videojob_renderer import last_words, logs
from videojob_renderer.environment import termination_log
from videojob_renderer.errors import InvalidEnvironment, RendererError, WeightsUnavailable
from videojob_renderer.faults import classify
from videojob_renderer.models.cache import ModelCache, StagedModel
from videojob_renderer.models.locate import is_offline, stage

_log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Fetch, and return the exit code; a failure is one sentence on stderr and in the termination message."""
    logs.configure(stream=sys.stderr)
    try:
        staged = _fetch(arguments, environ)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be told
        fault = classify(error, Stage.LOADING)
        if not isinstance(error, RendererError):
            _log.error("the fetch failed", exc_info=error)
        print(f"videojob-renderer: {fault.message}", file=sys.stderr)  # noqa: T201 - for a person
        if termination_log(environ).exists():  # only a container has one
            last_words.leave(environ, TerminationMessage(reason=fault.reason, message=fault.message))
        return fault.exit_code
    print(staged.folder)  # noqa: T201 - for a script
    return ExitCode.OK


def _fetch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> StagedModel:
    if not arguments.cache:
        raise InvalidEnvironment(f"no cache folder: give --cache DIR or set {variables.MODEL_CACHE}")
    source, revision = _source_of(arguments)
    root = Path(arguments.cache)
    if not (arguments.offline or is_offline(environ)):
        return stage(source, revision, root, environ)
    staged = ModelCache(root).find(source, revision)
    if staged is None:
        raise WeightsUnavailable(f"{source} is not in the cache {root}, and offline nobody is asked for it")
    return staged


def _source_of(arguments: argparse.Namespace) -> tuple[str, str | None]:
    """A name of the catalogue has no slash, a source has one."""
    if "/" in arguments.model:
        return arguments.model, arguments.revision
    if not arguments.catalogue:
        raise InvalidEnvironment(
            f"{arguments.model} is a name of the model catalogue: give --catalogue FILE or set {variables.CATALOGUE}"
        )
    try:
        models = Catalogue.read(Path(arguments.catalogue)).models
    except ConfigurationError as error:
        raise InvalidEnvironment(str(error)) from error
    if arguments.model not in models:
        raise InvalidEnvironment(
            f"{arguments.model} is not in the model catalogue; known are {', '.join(sorted(models))}"
        )
    model = models[arguments.model]
    return model.source, arguments.revision or model.revision
