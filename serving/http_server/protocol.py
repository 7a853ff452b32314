"""Limits of an HTTP/1.1 connection, for the gateway and the model server's REST.

One write for each answer in place of uvicorn's two, at the end of the event loop's turn; and limits to a request's
head, its size and its time.

A slow client cannot hold a connection for ever. While a request is under way, its deadline counts, the body included
(the application ends it); at all other times ``head_seconds`` does, however many blank lines, bytes of a head, or bytes
of a body that was already answered arrive. uvicorn closes a kept connection that is silent. A client that reads less
than 16 KiB of its answer in ``send_seconds`` is cut off.

A merged call ends the wait of many requests at once. Written one by one, each answer would wake its reader and hand the
processor over before the next one is ready; written together after all have been encoded they do not: a quarter of a
small request's time, seen under load.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable
from typing import Any

from serving.http_server.connection import LINGER_BYTES, LINGER_SECONDS, PIECE, HttpConnection, Refused

_LARGE = 65_536
_SLOWEST = 16_384  # bytes that a client takes of its answer in the time given
_TOO_LARGE = b"431 Request Header Fields Too Large"
_NO_LINGER = struct.pack("ii", 1, 0)  # the system too forgets what was not sent


async def linger(receive: Callable[[], Awaitable[Any]]) -> None:
    """Read the rest of a refused request's body for a moment.

    Closing at once would discard the answer together with the unread bytes.
    """
    left = LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


class JoinedWrites:
    """A transport that joins the small writes of one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._kept:
            self._loop.call_soon(self._flush)
        self._kept.append(data)
        if len(data) > _LARGE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, []
            if not self._transport.is_closing():  # the client may have reset the connection in the meantime
                self._transport.write(b"".join(kept))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpConnection):
    """What the server speaks on each connection."""

    def __init__(
        self,
        *arguments: Any,
        max_headers: int,
        max_header_bytes: int,
        head_seconds: float,
        send_seconds: float,
        on_refused: Callable[[str], None],
        **more: Any,
    ) -> None:
        """Make the protocol of one connection.

        Args:
            max_headers, max_header_bytes: limits of a request's head; the bytes also of what a chunked body has
                besides its content (extensions, trailers).
            head_seconds: longest time for a head to arrive.
            send_seconds: longest time for a client to read another 16 KiB of its answer.
            on_refused: called with the reason when a request is answered here or a slow client is cut off.
            more: see :class:`serving.http_server.connection.HttpConnection`.
        """
        super().__init__(*arguments, **more)
        self._max_headers = max_headers
        self._max_bytes = max_header_bytes
        self._head_seconds = head_seconds
        self._send_seconds = send_seconds
        self._on_refused = on_refused
        self._send_due: asyncio.TimerHandle | None = None  # while an answer waits for its reader
        self._unread = 0
        self._head_due: asyncio.TimerHandle | None = None  # while a head is awaited
        self._chunk = 0  # bytes that came last
        self._received = 0  # bytes since the head or the newest part of a body began; at most a piece too many

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._socket = transport.get_extra_info("socket")
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        # Paused wherever the client leaves something unread. Under TLS that may be at once: the end of the handshake.
        transport.set_write_buffer_limits(high=1, low=0)
        self._await_head(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_head(False)
        self._forget_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        answering = self.cycle is not None and not self.cycle.response_complete
        self._await_head((self._in_head or not answering) and not self.is_waiting and not self.is_ending)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_head and not self.is_waiting and not self.is_ending:
            self._unset_keepalive_if_required()
            self._await_head(True)

    def refuse(self, refused: Refused) -> None:
        self._on_refused(refused.code)
        self._await_head(False)
        super().refuse(refused)

    def _await_head(self, awaited: bool) -> None:
        """Start the time for a head, if it is not running already, or end it."""
        if awaited and self._head_due is None:
            self._head_due = self.loop.call_later(self._head_seconds, self._head_late)
        elif not awaited and self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _head_late(self) -> None:
        self._head_due = None
        if self._in_head:
            late = f"the request's head was not complete after {self._head_seconds:g} s"
            self.refuse(Refused(b"408 Request Timeout", "head_too_slow", late))
        else:
            self.transport.close()

    def parse(self, data: bytes | memoryview) -> None:
        self._chunk = len(data)
        self._received += self._chunk
        super().parse(data)
        unfinished = self._in_head or (self.cycle is not None and self.cycle.more_body)
        if unfinished and self._received > self._max_bytes + PIECE:
            raise self._too_long()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = self._chunk

    def on_headers_complete(self) -> None:
        if len(self.headers) > self._max_headers:
            many = f"the request has {len(self.headers)} headers; at most {self._max_headers} are accepted"
            raise Refused(_TOO_LARGE, "head_too_large", many)
        # The sum is taken only where it may be too much: the body may have begun in the same piece.
        if self._received > self._max_bytes and self._head_bytes() > self._max_bytes:
            raise self._too_long()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._received = 0

    def on_body(self, body: bytes) -> None:
        self._received = 0
        super().on_body(body)

    def _head_bytes(self) -> int:
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _too_long(self) -> Refused:
        long = f"the request's head, or the trailers of its body, have more than {self._max_bytes} bytes"
        return Refused(_TOO_LARGE, "head_too_large", long)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_reader()

    def _await_reader(self) -> None:
        self._unread = self._count_unread()
        self._send_due = self.loop.call_later(self._send_seconds, self._look_at_reader)

    def _forget_reader(self) -> None:
        if self._send_due is not None:
            self._send_due.cancel()
            self._send_due = None

    def _count_unread(self) -> int:
        """Bytes that wait here and in the system's buffer.

        The buffer has room again only when a third of it is free.
        """
        waiting = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):  # not Linux, where a socket does not tell; or it is closed
            held = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
            waiting += int.from_bytes(held, sys.byteorder)
        return waiting

    def _look_at_reader(self) -> None:
        if self._unread - self._count_unread() < _SLOWEST:
            self._on_refused("client_slow")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self._await_reader()
