"""Read a JSON file of the administrator: what is wrong with it is told with the names of file and field."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from videojob.errors import ConfigurationError, violations

T = TypeVar("T")


def read_settings_file(path: Path, adapter: TypeAdapter[T], what: str) -> T:
    """Return the content of a JSON file as the adapter's type.

    Args:
        path: of the file.
        adapter: says what must be in it.
        what: names the file in an error, such as "model catalogue".

    Raises:
        ConfigurationError: the file is missing, is not JSON or breaks a rule.
    """
    try:
        return adapter.validate_python(json.loads(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"{what} {path}: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, ValidationError):
            first = violations(error)[0]
            where = f"{first.field} " if first.field else ""
            raise ConfigurationError(f"{what} {path}: {where}{first.message}") from error
        raise ConfigurationError(f"{what} {path}: not JSON: {error}") from error
