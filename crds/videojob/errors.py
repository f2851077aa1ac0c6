"""What can be wrong with a request, told so that a user can mend it.

VideoJobError
├── InvalidRequest    a value breaks a rule
└── UnknownModel      the model is not in the catalogue
ConfigurationError    the administrator's catalogue or profile file is wrong
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from videojob.reasons import Reason


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule.

    Attributes:
        field: dotted path as in the manifest, such as `numFrames` or `webhook.url`; empty for the object as a whole.
        message: one sentence, without the field's name.
        nearest: the legal value nearest to the one given, or None where there is none to offer.
    """

    field: str
    message: str
    nearest: Any = None


class VideoJobError(Exception):
    """A request that cannot be rendered here.

    Attributes:
        reason: the stable word.
        message: one sentence.
        field: path of the field at fault inside spec.request.
        nearest: nearest legal value, or None.
    """

    reason: Reason = Reason.INVALID_REQUEST

    def __init__(self, message: str, *, field: str, nearest: Any = None) -> None:
        super().__init__(f"{field}: {message}")
        self.message = message
        self.field = field
        self.nearest = nearest


class InvalidRequest(VideoJobError):
    """A value breaks a rule of its model."""


class UnknownModel(VideoJobError):
    """The model is not in the catalogue of this installation."""

    reason = Reason.UNKNOWN_MODEL


class ConfigurationError(Exception):
    """A settings file of the administrator is wrong; the text names the file and the field."""


def rule_broken(field: str, message: str, nearest: Any = None) -> PydanticCustomError:
    """Make the error that a model validator raises for one field of the model."""
    # Braces are pydantic's own template syntax; our sentences hold none.
    return PydanticCustomError("rule", "{sentence}", {"sentence": message, "field": field, "nearest": nearest})


_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "model_type": "must be an object",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "int_parsing_size": "must be at most 9223372036854775807",
}


def violations(error: ValidationError) -> list[Violation]:
    """Translate pydantic's report into violations with the paths, the words and the nearest values of this project."""
    return [violation(detail) for detail in error.errors(include_url=False)]


def violation(detail: Any) -> Violation:
    """Translate one entry of pydantic's report."""
    context = detail.get("ctx", {})
    path = [*detail["loc"], context["field"]] if context.get("field") else list(detail["loc"])
    template = _SENTENCES.get(detail["type"])
    message = template.format_map(context) if template else detail["msg"]
    return Violation(_dotted(path), message, _nearest(detail, context))


def _dotted(path: Iterable[Any]) -> str:
    return ".".join(str(part) for part in path)


def _nearest(detail: Any, context: dict[str, Any]) -> Any:
    """The nearest legal value, where one can be told from the rule itself."""
    match detail["type"]:
        case "rule":
            return context["nearest"]
        case "greater_than_equal":
            return context["ge"]
        case "less_than_equal":
            return context["le"]
        case "int_parsing_size":
            return 2**63 - 1
    return None
