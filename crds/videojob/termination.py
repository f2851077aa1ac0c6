"""The renderer's last words: JSON in the container's termination message, which the operator reads from the Pod."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_BYTES = 4096
"""What the kubelet keeps of a termination message."""


class TerminationMessage(BaseModel):
    """Why the renderer ended.

    Attributes:
        reason: a word of `videojob.reasons.Reason`; a plain string, so that an older operator reads a newer renderer.
        message: one sentence for the user, without the prompt.
        artifacts: `status.artifacts` of a finished render: the files are in S3. Of a container that ended with 0 the
            operator records them where the VideoJob does not have them.
    """

    model_config = ConfigDict(frozen=True)

    reason: str
    message: str
    artifacts: dict[str, Any] | None = None

    def encode(self) -> str:
        """Return the JSON text, its message cut so that the whole fits into `MAX_BYTES`."""
        text = self.model_dump_json(exclude_none=True)
        excess = len(text.encode()) - MAX_BYTES
        if excess <= 0:
            return text
        kept = self.message.encode()[: -excess - len("…".encode())].decode(errors="ignore")
        return self.model_copy(update={"message": kept + "…"}).model_dump_json(exclude_none=True)

    @classmethod
    def decode(cls, text: str) -> "TerminationMessage | None":
        """Read a termination message; None where the container left none or something else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None
