"""One HTTP/2 stream: a request and its response."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple


class StreamError(Exception):
    """The stream ended without a response.

    Attributes:
        code: error code of the stream's reset; None if the connection was lost.
        refused: the server did not process the request, so that it can be sent again (RFC 9113, 8.7).
    """

    def __init__(self, reason: str, *, code: int | None = None, refused: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.refused = refused


class ResponseTooLarge(StreamError):
    """The response body exceeds the limit; the client reset the stream."""


class StreamResponse(NamedTuple):
    """A complete response. In a trailers-only response, ``trailers`` are the headers."""

    headers: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str]


class Stream:
    """A request in progress."""

    __slots__ = ("body", "headers", "id", "response", "unsent", "window_credit")

    def __init__(self, stream_id: int, response: "asyncio.Future[StreamResponse]") -> None:
        self.id = stream_id
        self.response = response
        self.headers: Mapping[str, str] | None = None
        self.body: bytes | bytearray = b""
        """Response body received so far."""
        self.window_credit = 0
        """Send window minus the connection's initial window, which the server may change for all streams at once."""
        self.unsent: bytes | memoryview = b""
        """Rest of the request body that waits for window."""
