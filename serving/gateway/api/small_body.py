"""Small request bodies of FastAPI's routes. FastAPI would read one of any size before it calls a route."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.gateway.errors import BadDocument, TooLarge, TooLate

_MAX_BYTES = 4096


async def read(request: Request, seconds: float) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it has more than 4096 bytes. TooLate: it did not arrive within these seconds.
        BadDocument: it is incomplete.
    """
    body = b""
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise TooLarge(f"the body has more than {_MAX_BYTES} bytes")
    except TimeoutError:
        raise TooLate(f"the request body was not received within {seconds:g} s; send it again") from None
    except ClientDisconnect:
        raise BadDocument("the request body is incomplete") from None
    return body
