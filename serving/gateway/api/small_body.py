"""Small request bodies of FastAPI's routes. FastAPI would read one of any size before it calls a route."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from serving.gateway.errors import BadDocument, TooLarge, TooLate, field_error

_MAX_BYTES = 4096


Document = TypeVar("Document", bound=BaseModel)


async def read(request: Request, seconds: float, max_bytes: int = _MAX_BYTES) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it has more than these bytes. TooLate: it did not arrive within these seconds.
        BadDocument: it is incomplete.
    """
    body = b""
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise TooLarge(f"the body has more than {max_bytes} bytes")
    except TimeoutError:
        raise TooLate(f"the request body was not received within {seconds:g} s; send it again") from None
    except ClientDisconnect:
        raise BadDocument("the request body is incomplete") from None
    return body


def parse(kind: type[Document], body: bytes) -> Document:
    """Return a JSON object in its form.

    Raises:
        BadDocument: it has another form; the message names the field.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise BadDocument(field_error(error.errors()[0])) from None
