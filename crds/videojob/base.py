"""The base of all models that stand in a manifest: camelCase outside, snake_case inside, frozen."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Manifest(BaseModel):
    """A part of a manifest. Unknown fields are refused; both spellings of a name are read, camelCase is written.

    An error does not quote what it was given: that may be a prompt.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    def dump(self) -> dict[str, Any]:
        """Return the manifest as JSON values, without the fields that are absent."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")
