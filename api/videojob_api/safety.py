"""Headers of every answer that keep a browser from doing what nobody meant. What a route has set itself stays."""

from starlette.datastructures import MutableHeaders

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # No more than this: browsers show a video or an image that is opened by itself under its policy.
    "Content-Security-Policy": "frame-ancestors 'none'",
}


def make_safe(headers: MutableHeaders) -> None:
    """Add what is missing. Answers tell of somebody's jobs, so no cache that others share may keep one."""
    for name, value in _SAFE.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "private, no-cache" if "ETag" in headers else "no-store")
