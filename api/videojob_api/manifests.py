"""What a manifest is here: plain JSON values. An operator newer than this API may write fields unknown to it."""

from typing import Any

Manifest = dict[str, Any]
