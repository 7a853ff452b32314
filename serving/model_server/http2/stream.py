"""A stream: one request and its answer, and what answers it."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from serving.model_server.http2.connection import Connection


class Application(Protocol):
    """What answers the requests."""

    def head(self, headers: list[tuple[str, str]]) -> Any:
        """What it needs of a request's headers; asked once for requests with the same ones."""

    def opened(self, stream: "Stream") -> None:
        """The headers are there; the body is to come."""

    def received(self, stream: "Stream") -> None:
        """A part of the body is there, more is to come."""

    def complete(self, stream: "Stream") -> None:
        """The request is there as a whole."""

    def closed(self, stream: "Stream") -> None:
        """The answer was sent, or nobody waits for it any more."""


class Stream:
    """One request and its answer."""

    __slots__ = ("_connection", "complete", "head", "number", "parts", "size", "state", "trailers", "waiting", "window")

    def __init__(self, connection: "Connection", number: int, head: Any, window: int) -> None:
        self._connection = connection
        self.window = window
        """Bytes that the client takes as yet."""
        self.waiting = bytearray()
        """What is to be sent and needs a larger window."""
        self.trailers = b""
        self.number = number
        self.head = head
        self.parts: list[bytes] = []
        """The body so far."""
        self.size = 0
        self.complete = False
        self.state: Any = None
        """The application's own."""

    @property
    def body(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def send_headers(self, block: bytes) -> None:
        self._connection.send_headers(self, block)

    def send(self, data: bytes) -> None:
        """A part of the answer's body; waits in memory while the client takes no more."""
        self._connection.send(self, data)

    def end(self, trailers: bytes) -> None:
        """The answer's last headers, sent when all of its body is."""
        self._connection.end(self, trailers)

    @property
    def is_open(self) -> bool:
        return self._connection.holds(self)
