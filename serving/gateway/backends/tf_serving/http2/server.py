"""The server's end of a connection, and what answers the requests on it.

Source: RFC 9113, sections 5.1 (streams), 6.8 (how a connection ends) and 8.1 (requests). A client that pings too often
is sent away as by gRPC's C servers (grpc/doc/keepalive.md).
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Protocol

from serving.gateway.backends.tf_serving.http2 import connection, frames
from serving.gateway.backends.tf_serving.http2.frames import ConnectionFailed

_LARGEST_HEADERS = 16_384  # bytes, as gRPC's own servers allow
_LARGEST_STREAM = 2**31 - 1
_PING_INTERVAL = 300.0  # seconds between pings of a client that is sent nothing
_IDLE_PING_INTERVAL = 7200.0  # where it has no stream open
_MOST_PING_STRIKES = 2  # pings that may come too early
_ACK_WAIT = 1.0  # seconds for a client to learn that the connection will end


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


@dataclass(frozen=True)
class Limits:
    """What a connection may hold, and for how long; None: no limit."""

    most_streams: int | None = None
    idle: float | None = None
    """Seconds without a stream until it is drained."""
    age: float | None = None
    """Seconds until it is drained, give or take a tenth."""
    grace: float | None = None
    """Seconds that its streams have after that."""


class Stream(connection.Stream):
    """One request and its answer."""

    __slots__ = ("_connection", "complete", "head", "parts", "size", "state", "trailers")

    def __init__(self, connection: "Connection", number: int, head: Any) -> None:
        super().__init__(number)
        self._connection = connection
        self.trailers = b""
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


class Connection(connection.Connection[Stream]):
    """Reads frames and tells the application of requests; writes answers within the client's windows."""

    def __init__(self, application: Application, connections: "set[Connection]", limits: Limits) -> None:
        """``connections`` holds this one as long as it lasts."""
        super().__init__(application.head, serves=True, largest_headers=_LARGEST_HEADERS)
        self._application = application
        self._connections = connections
        self._limits = limits
        self._draining = False
        self._refusing = False
        self._pinged: float | None = None
        """When the last ping came; None where an answer was sent since then."""
        self._ping_strikes = 0
        self._idle_since = 0.0
        self._idle_due: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is no more."""

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        if self._limits.age is not None:
            self._later(self._limits.age * random.uniform(0.9, 1.1), self.drain)
        self._idle_since = self._loop.time()
        if self._limits.idle is not None:
            self._drain_if_idle(self._limits.idle)
        most = self._limits.most_streams
        self._send_settings({} if most is None else {frames.MAX_CONCURRENT_STREAMS: most})

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._idle_due:
            self._idle_due.cancel()
        self._connections.discard(self)
        for stream in list(self._streams.values()):
            self._forget(stream)
        self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks: nothing more is read from it until it has caught up."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    # --- requests ---

    def _headers_came(self, number: int, head: Any, end: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            if not number & 1:
                raise ConnectionFailed(frames.PROTOCOL_ERROR, f"a client's streams have odd numbers, not {number}")
            if number <= self._last:
                return  # trailers of a request that is answered, or reset, already
            self._last = number
            most = self._limits.most_streams
            if self._refusing or (most is not None and len(self._streams) >= most):
                self._write(frames.rst_stream(number, frames.REFUSED_STREAM))
                return
            stream = self._streams[number] = Stream(self, number, head)
            self._application.opened(stream)
        if end and not stream.complete and number in self._streams:
            self._complete(stream)

    def _data_came(self, stream: Stream, data: bytes, end: bool) -> None:
        if stream.complete:
            return
        if data:  # empty frames would cost memory without counting
            stream.parts.append(data)
            stream.size += len(data)
        if end:
            self._complete(stream)
        else:
            self._application.received(stream)

    def _complete(self, stream: Stream) -> None:
        stream.complete = True
        self._application.complete(stream)

    def _reset_came(self, stream: Stream, code: int) -> None:
        self._forget(stream)

    # --- answers ---

    def holds(self, stream: Stream) -> bool:
        return self._streams.get(stream.number) is stream

    def send_headers(self, stream: Stream, block: bytes) -> None:
        if self.holds(stream):
            self._send_headers(stream, block)

    def send(self, stream: Stream, data: bytes) -> None:
        if self.holds(stream):
            self._pinged = None
            self._send_data(stream, data)

    def end(self, stream: Stream, trailers: bytes) -> None:
        if not self.holds(stream):
            return
        self._pinged = None
        if stream.waiting:
            stream.trailers = trailers
            return
        self._send_headers(stream, trailers, end=True)
        if not stream.complete:  # the rest of the request is not wanted
            self._write(frames.rst_stream(stream.number, frames.NO_ERROR))
        self._forget(stream)

    def _send_waiting(self, stream: Stream) -> None:
        self._pinged = None
        super()._send_waiting(stream)

    def _all_sent(self, stream: Stream) -> None:
        if stream.trailers:
            self.end(stream, stream.trailers)

    def _forget(self, stream: Stream) -> None:
        super()._forget(stream)
        self._application.closed(stream)
        if not self._streams:
            self._idle_since = self._loop.time()
        self._close_if_idle()

    def _ping_came(self) -> None:
        """Raises ConnectionFailed where pings came too early too often."""
        now, before = self._loop.time(), self._pinged
        self._pinged = now
        if before is None:
            self._ping_strikes = 0
        elif now < before + (_PING_INTERVAL if self._streams else _IDLE_PING_INTERVAL):
            self._ping_strikes += 1
            if self._ping_strikes > _MOST_PING_STRIKES:
                raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, "too_many_pings")

    # --- the end ---

    def _drain_if_idle(self, most: float) -> None:
        """Drain after ``most`` seconds without a stream; looks again when that may be so."""
        left = most if self._streams else most - (self._loop.time() - self._idle_since)
        if left > 0:
            self._idle_due = self._loop.call_later(left, self._drain_if_idle, most)
        else:
            self.drain()

    def drain(self) -> None:
        """Ask the client to open no more streams, and close when those that are open are answered.

        The client hears twice (RFC 9113, 6.8): first that the end is near, then, when its answer to a ping shows that
        it knows, which stream was the last.
        """
        if self._draining:
            return
        self._draining = True
        self._write(frames.goaway(_LARGEST_STREAM, frames.NO_ERROR))
        self._write(frames.frame(frames.PING, 0, 0, bytes(8)))
        self._later(_ACK_WAIT, self._refuse_streams)
        if self._limits.grace is not None:
            self._later(self._limits.grace, self.abort)

    def _pong_came(self) -> None:
        if self._draining:
            self._refuse_streams()

    def _refuse_streams(self) -> None:
        if self._refusing:
            return
        self._refusing = True
        self._write(frames.goaway(max(self._last, 0), frames.NO_ERROR))
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._refusing and not self._streams:
            self._flush()
            self._transport.close()
