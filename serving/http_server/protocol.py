"""Limits of an HTTP/1.1 connection: size and time of a request's head, and speed of the client's reading.

A slow client cannot hold a connection for ever. While a request is in progress, its deadline applies, body included
(the application enforces it). At all other times ``head_seconds`` applies, whatever arrives: blank lines, parts of a
head, or a body that was already answered. uvicorn closes silent keep-alive connections. A client that reads less than
16 KiB of its response in ``send_seconds`` is disconnected.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.http_server.connection import PIECE, HttpConnection, RejectedRequest
from serving.http_server.joined_writes import JoinedWrites
from serving.http_server.load_shedding import LoadShedder

_MIN_READ_BYTES = 16_384  # that a client must read of its response in the given time
_TOO_LARGE = b"431 Request Header Fields Too Large"
_NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER: the kernel drops unsent data


class LimitedHttpProtocol(HttpConnection):
    """One connection with limits."""

    __slots__ = (
        "_address",
        "_head_seconds",
        "_head_timer",
        "_is_counted",
        "_is_refusing",
        "_max_bytes",
        "_max_headers",
        "_on_rejected",
        "_piece_bytes",
        "_received",
        "_send_seconds",
        "_send_timer",
        "_shedder",
        "_socket",
        "_unread",
        "_writes_at_once",
    )

    def __init__(
        self,
        *args: Any,
        max_headers: int,
        max_header_bytes: int,
        head_seconds: float,
        send_seconds: float,
        on_rejected: Callable[[str], None],
        shedder: LoadShedder | None = None,
        **kwargs: Any,
    ) -> None:
        """Create the protocol of one connection.

        Args:
            args: see uvicorn's HttpToolsProtocol.
            max_headers: most headers of a request.
            max_header_bytes: most bytes of a head, and of what a chunked body contains besides its content
                (extensions, trailers).
            head_seconds: longest time for a head to arrive.
            send_seconds: longest time for a client to read another 16 KiB of its response.
            on_rejected: called with the reason when the connection rejects a request or disconnects a slow client.
            shedder: refuses requests while the event loop is overloaded.
            kwargs: see :class:`serving.http_server.connection.HttpConnection`.
        """
        super().__init__(*args, **kwargs)
        self._max_headers = max_headers
        self._max_bytes = max_header_bytes
        self._head_seconds = head_seconds
        self._send_seconds = send_seconds
        self._on_rejected = on_rejected
        self._shedder = shedder
        self._is_refusing = False  # the last request was refused, and nothing has happened since
        self._is_counted = False  # as a running request, by the shedder
        self._address = b""
        self._send_timer: asyncio.TimerHandle | None = None  # while a response waits for the client
        self._unread = 0
        self._head_timer: asyncio.TimerHandle | None = None  # while a head is expected
        self._piece_bytes = 0  # of the last piece
        self._received = 0  # bytes since the head or the newest part of a body began; at most a piece too many

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head."""
        self._socket = transport.get_extra_info("socket")
        self._writes_at_once = transport.write
        self._address = str(transport.get_extra_info("peername", [""])[0]).encode()
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        # pause_writing() is called whenever the client leaves something unread; under TLS perhaps at once, because of
        # the end of the handshake.
        transport.set_write_buffer_limits(high=1, low=0)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_head_timer()
        self._stop_send_timer()
        self.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and start the timer of an incomplete head; or refuse the request that it is."""
        shedder = self._shedder
        if (
            shedder is not None
            and shedder.is_overloaded
            and (self._is_refusing or self._is_idle)
            and shedder.accepts(data, self._address) is False
        ):
            if not self._is_refusing:
                self._start_refusing()
            self._writes_at_once(shedder.refusal)
            return
        self._is_refusing = False
        super().data_received(data)
        if self.is_waiting:
            expects_head = False
        else:
            answering = self.cycle is not None and not self.cycle.response_complete
            expects_head = (self._in_head or not answering) and not self.is_ending
        if expects_head:
            self._start_head_timer()
        elif self._head_timer is not None:
            self._stop_head_timer()

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is under way: no request, no part of one, no response, no end of the connection.

        The rest of a body that was answered early is a part: read as a request, it would get a response of its own.
        """
        is_busy = self._is_counted or self._in_head or self._unparsed or self.flow.write_paused or self.is_ending
        expects_body = self.cycle is not None and self.cycle.more_body
        return not is_busy and not expects_body and not self._is_draining()

    def _start_refusing(self) -> None:
        """Refuse without another look at the connection, until something else happens on it."""
        self._is_refusing = True
        self._stop_head_timer()  # of the connection's first request
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        """Send the refusals that follow with the connection's end."""
        self._is_refusing = False
        super().shutdown()

    def enter(self) -> None:
        """Count a request, once: the one that starts, or a first one that has arrived and was not read yet."""
        if self._shedder is not None and not self._is_counted:
            self._is_counted = True
            self._shedder.enter()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.enter()
        super()._start_asgi_task(cycle, app)

    def leave(self) -> None:
        """Count the end of the request."""
        if self._is_counted and self._shedder is not None:
            self._is_counted = False
            self._shedder.leave()

    def on_response_complete(self) -> None:
        """Continue with the unparsed bytes, which may be part of a head."""
        self.leave()
        super().on_response_complete()
        if self._in_head and not self.is_waiting and not self.is_ending:
            self._unset_keepalive_if_required()
            self._start_head_timer()

    def reject(self, rejection: RejectedRequest) -> None:
        """Count the rejection and send the error."""
        self._on_rejected(rejection.code)
        self._stop_head_timer()
        super().reject(rejection)

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_seconds, self._on_head_timeout)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self._in_head:
            message = f"the request's head was not complete after {self._head_seconds:g} s"
            self.reject(RejectedRequest(b"408 Request Timeout", "head_too_slow", message))
        else:
            self.transport.close()

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser, within the limit of bytes that are not content."""
        self._piece_bytes = len(data)
        self._received += self._piece_bytes
        super().parse(data)
        if self._received > self._max_bytes + PIECE and (
            self._in_head or (self.cycle is not None and self.cycle.more_body)
        ):
            raise self._head_too_large()

    def on_message_begin(self) -> None:
        """Start counting the bytes of a head."""
        super().on_message_begin()
        self._received = self._piece_bytes

    def on_headers_complete(self) -> None:
        """Check the size of the head."""
        if len(self.headers) > self._max_headers:
            message = f"the request has {len(self.headers)} headers; at most {self._max_headers} are accepted"
            raise RejectedRequest(_TOO_LARGE, "head_too_large", message)
        # The exact sum is needed only if the limit may be exceeded: the piece may contain a part of the body.
        if self._received > self._max_bytes and self._head_bytes() > self._max_bytes:
            raise self._head_too_large()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Start counting the bytes of a chunk's extensions or of the trailers."""
        self._received = 0

    def on_body(self, body: bytes) -> None:
        """Do not count the content of a body."""
        self._received = 0
        super().on_body(body)

    def _head_bytes(self) -> int:
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _head_too_large(self) -> RejectedRequest:
        message = f"the request's head, or the trailers of its body, have more than {self._max_bytes} bytes"
        return RejectedRequest(_TOO_LARGE, "head_too_large", message)

    def pause_writing(self) -> None:
        """Start the timer for a slow client, and let requests wait for it that would be refused."""
        self._is_refusing = False
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        """Stop the timer for a slow client."""
        super().resume_writing()
        self._stop_send_timer()

    def _start_send_timer(self) -> None:
        self._unread = self._unread_bytes()
        self._send_timer = self.loop.call_later(self._send_seconds, self._check_client_speed)

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _unread_bytes(self) -> int:
        """Bytes in the transport's buffer and in the kernel's.

        The transport alone is too coarse: the kernel's buffer has room again only after a third of it is free.
        """
        unread = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):  # not Linux, or the socket is closed
            unsent = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
            unread += int.from_bytes(unsent, sys.byteorder)
        return unread

    def _check_client_speed(self) -> None:
        if self._unread - self._unread_bytes() < _MIN_READ_BYTES:
            self._on_rejected("client_slow")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self._start_send_timer()
