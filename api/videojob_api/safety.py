"""Headers of every answer that keep a browser from doing what nobody meant. What a route has set itself stays."""

RawHeaders = list[tuple[bytes, bytes]]
"""As ASGI has them: the names in small letters."""

_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    # No more than this: browsers show a video or an image that is opened by itself under its policy.
    (b"content-security-policy", b"frame-ancestors 'none'"),
)


def missing_in(headers: RawHeaders) -> RawHeaders:
    """Return what must be added. Answers tell of somebody's jobs, so no cache that others share may keep one."""
    given = {name for name, _ in headers}
    missing = [each for each in _SAFE if each[0] not in given]
    if b"cache-control" not in given:
        missing.append((b"cache-control", b"private, no-cache" if b"etag" in given else b"no-store"))
    return missing
