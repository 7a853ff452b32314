"""HTTP/1.1 on a connection, for the gateway and for the model server's REST interface.

uvicorn's HTTP protocol with one write for each answer in place of two, at the end of the event loop's turn; with
limits to a request's head, its size and its time; and with word of clients that hang up.

No byte may come so slowly that it holds a connection for ever. While a request is answered its deadline counts, the
body included (``edge.py``); at all other times ``head_seconds`` does, however many blank lines, bytes of a head, or
bytes of a body that was answered already come in between. A connection that is kept and silent uvicorn closes. Nor may
an answer be read so slowly: a client that takes less than 16 KiB of it in ``send_seconds`` is cut off.

An offer to change the protocol (``Upgrade``: h2c, TLS, WebSocket) is never taken. RFC 9110, 7.8: the server then
ignores it and answers over HTTP/1.1. The parser would stop at such a head and lose the body.

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

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LARGE = 65_536
_SLOWEST = 16_384  # bytes that a client takes of its answer in the time given
_NO_LINGER = struct.pack("ii", 1, 0)  # the system too forgets what was not sent


_LINGER_SECONDS = 1.0
_LINGER_BYTES = 4_000_000


async def linger(receive: Callable[[], Awaitable[Any]]) -> None:
    """Read the rest of a refused request's body for a moment, before the connection is closed.

    Closing at once would discard the answer together with the unread bytes.
    """
    left = _LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


class JoinedWrites:
    """A transport that keeps small writes until the event loop's next turn and joins them."""

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

    def _flush(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, []
            self._transport.write(b"".join(kept))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _HeadTooLarge(Exception):
    """Raised inside the parser, which then goes the way of what it cannot read."""


class _Unserved(Exception):
    """Raised inside the parser for a method that is never served on any path."""


class Protocol(HttpToolsProtocol):
    """What the server speaks on each connection."""

    def __init__(
        self,
        *arguments: Any,
        max_headers: int,
        max_header_bytes: int,
        head_seconds: float,
        send_seconds: float,
        on_refused: Callable[[str], None],
        on_hang_up: Callable[[Any], None],
        render: Callable[[str, str], bytes],
        **more: Any,
    ) -> None:
        """Make the protocol of one connection.

        Args:
            max_headers, max_header_bytes: limits of a request's head.
            head_seconds: longest time for a head to arrive.
            send_seconds: longest time for a client to read another 16 KiB of its answer.
            on_refused: called with the reason when a request is answered here or a slow client is cut off.
            on_hang_up: called with the scope of a request whose client disconnects before its answer is complete.
            render: makes the JSON body of an error from its code and its sentence.
        """
        super().__init__(*arguments, **more)
        self._max_headers = max_headers
        self._max_bytes = max_header_bytes
        self._head_seconds = head_seconds
        self._send_seconds = send_seconds
        self._on_refused = on_refused
        self._on_hang_up = on_hang_up
        self._render = render
        self._send_due: asyncio.TimerHandle | None = None  # while an answer waits for its reader
        self._unread = 0
        self._head_due: asyncio.TimerHandle | None = None  # while a head is awaited
        self._in_head = False
        self._chunk = 0  # bytes that came last
        self._received = 0  # bytes that came after those with which the head began
        self._refusal = self._late = ""
        self._too_long = f"the request's head has more than {max_header_bytes} bytes"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._socket = transport.get_extra_info("socket")
        transport.set_write_buffer_limits(high=1, low=0)  # paused wherever the client leaves something unread
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        self._await_head(True)

    def _await_head(self, awaited: bool) -> None:
        """Begins the time for a head where it is not running already, or ends it."""
        if awaited and self._head_due is None:
            self._head_due = self.loop.call_later(self._head_seconds, self._head_late)
        elif not awaited and self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _head_late(self) -> None:
        self._head_due = None
        if self._in_head:
            self._late = f"the request's head was not complete after {self._head_seconds:g} s"
            self.send_400_response("")
        else:
            self.transport.close()

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
        """Bytes that wait here and in the system's buffer, which has room again only when a third of it is free."""
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

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_head(False)
        self._forget_reader()
        cycle = self.cycle
        super().connection_lost(exc)
        if cycle is not None and not cycle.response_complete:
            self._on_hang_up(cycle.scope)

    def data_received(self, data: bytes) -> None:
        self._chunk = len(data)
        self._received += self._chunk
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        if self._in_head and self._received > self._max_bytes and not self.transport.is_closing():
            self._refusal = self._too_long
            self.send_400_response("")
        answering = self.cycle is not None and not self.cycle.response_complete
        self._await_head((self._in_head or not answering) and not self.transport.is_closing())

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        rest: bytes | memoryview = data
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = memoryview(rest)[offer.args[0] :]
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own parser
            self.parser.feed_data(head)

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._received = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.headers) > self._max_headers:
            self._refusal = f"the request has {len(self.headers)} headers; at most {self._max_headers} are accepted"
            raise _HeadTooLarge
        # The sum is taken only where it may be too much: the body may have begun in the same piece.
        if self._received + self._chunk > self._max_bytes and self._head_bytes() > self._max_bytes:
            self._refusal = self._too_long
            raise _HeadTooLarge
        if not self.parser.should_upgrade():
            super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":
            raise _Unserved

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():  # else this is the head alone, which is parsed again
            super().on_message_complete()

    def _head_bytes(self) -> int:
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP, or not within the limits, ends the connection with an error."""
        status, code = b"400 Bad Request", "bad_request"
        if self._refusal:
            status, code = b"431 Request Header Fields Too Large", "head_too_large"
        elif self._late:
            status, code = b"408 Request Timeout", "head_too_slow"
        self._on_refused(code)
        unread = "this is no HTTP/1.1 request that can be read; the connection ends here"
        sentence = self._refusal or self._late or unread
        body = self._render(code, sentence)
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
