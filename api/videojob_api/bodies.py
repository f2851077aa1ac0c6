"""Read the body of a request, and no more of it than any legal request has."""

from collections.abc import AsyncGenerator

from starlette.requests import ClientDisconnect, Request

from videojob_api.errors import BodyTooLarge, InvalidInput


async def read_bytes(request: Request, limit_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: it is longer than the limit.
    """
    content = bytearray()
    async for piece in pieces_of(request, limit_bytes):
        content += piece
    return bytes(content)


async def pieces_of(request: Request, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """Go through the body in the pieces in which it arrives.

    Raises:
        BodyTooLarge: it is longer than the limit.
        InvalidInput: the client went away before its end.
    """
    received = 0
    try:
        async for piece in request.stream():
            received += len(piece)
            if received > limit_bytes:
                raise BodyTooLarge(f"the body must have at most {limit_bytes} bytes", field="body")
            yield piece
    except ClientDisconnect:
        raise InvalidInput("the body was cut off", field="body") from None
