"""One HTTP/1.1 connection over uvicorn and httptools: the order of its requests, and the requests that it rejects.

- Pipelining: the connection handles one request at a time. While a complete request waits for its response, later
  bytes stay unparsed and the connection is not read, so that a pipelining client costs at most one read and a handful
  of parsed requests, and other connections get their turn.
- Upgrade offers (h2c, TLS, WebSocket) are ignored and the request is answered over HTTP/1.1 (RFC 9110, 7.8). httptools
  would stop at such a head and lose the body.
- Half-close: a client may close its sending side and still receive the responses to complete requests. In the middle
  of a request, a half-close means that the client has disconnected. A reset always does.
- Rejected requests (RFC 9112): heads that another server might read differently, by ``Host``, ``Transfer-Encoding`` or
  version. httptools rejects conflicting lengths, folded headers, stray CR and LF, and invalid chunks. The error is sent
  after the responses to earlier requests, and the connection closes.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.http_server.head_rules import head_error
from serving.http_server.linger import LINGER_BYTES, LINGER_SECONDS

PIECE = 1024  # bytes parsed at once outside a body, where a piece may hold several requests
_IDLE_SECONDS = 0.2  # before an idle connection closes at shutdown: a request may be on its way


class RejectedRequest(Exception):
    """A request that is answered with an error and ends its connection. Raised inside the parser's callbacks."""

    def __init__(self, status: bytes, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def _rejection(error: Exception) -> RejectedRequest:
    for cause in (error, error.__context__):
        if isinstance(cause, RejectedRequest):
            return cause
    return RejectedRequest(b"400 Bad Request", "bad_request", "the request cannot be read as HTTP/1.1")


class _PausingFlowControl(FlowControl):
    """uvicorn's flow control, but reading stays paused while the connection has unparsed bytes."""

    has_unparsed = False

    def resume_reading(self) -> None:
        if self.read_paused and not self.has_unparsed:
            super().resume_reading()


class _LastResponseTransport:
    """Transport of a connection's last response: closes by :meth:`HttpConnection.close_after_response`."""

    def __init__(self, connection: "HttpConnection") -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.close_after_response()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)


class HttpConnection(HttpToolsProtocol):
    """One connection.

    Its attributes, and those of its subclass, have slots. With uvicorn's own they would be too many for a compact
    object: CPython would give each connection a dictionary of 2 KB, and every access would be a search in it.
    """

    __slots__ = (
        "_after_responses",
        "_body_left",
        "_chunks",
        "_discarded_bytes",
        "_flow",
        "_in_head",
        "_is_draining",
        "_on_disconnect",
        "_render_error",
        "_running",
        "_unparsed",
        "_valid_host",
    )

    def __init__(
        self,
        *args: Any,
        on_disconnect: Callable[[Any], None],
        render_error: Callable[[str, str], bytes],
        is_draining: Callable[[], bool] = lambda: False,
        **kwargs: Any,
    ) -> None:
        """Create the protocol of one connection.

        Args:
            args: see uvicorn's HttpToolsProtocol.
            on_disconnect: called with the scope of a request whose client disconnects before the response is complete.
            render_error: makes the JSON body of an error from its code and its message.
            is_draining: whether the server is shutting down. Each response then closes its connection.
            kwargs: see uvicorn's HttpToolsProtocol.
        """
        super().__init__(*args, **kwargs)
        self._on_disconnect = on_disconnect
        self._render_error = render_error
        self._is_draining = is_draining
        self._running: RequestResponseCycle | None = None  # uvicorn's ``cycle`` is the newest, which may be queued
        self._in_head = False
        self._body_left = 0
        self._valid_host = b""  # of the last request
        self._chunks: list[bytes] = []
        self._unparsed: bytes | memoryview = b""
        self._after_responses: Callable[[], None] | None = None
        self._discarded_bytes = -1  # received after a rejection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Replace uvicorn's flow control."""
        super().connection_made(transport)
        self.flow = self._flow = _PausingFlowControl(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request in progress."""
        super().connection_lost(exc)
        self._cancel_running()

    def _cancel_running(self) -> None:
        running, self._running, self._unparsed = self._running, None, b""
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
            self._on_disconnect(running.scope)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the complete requests, then close."""
        if self.scheme == "https":
            return False  # a TLS transport cannot stay open for writing
        self._after_responses = self.transport.close
        if self.is_waiting and not self._unparsed:
            self.cycle.keep_alive = False  # so that the response says "Connection: close"
        self._finish()
        return not self.transport.is_closing()

    def shutdown(self) -> None:
        """Close after the response in progress; an idle connection closes soon."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_IDLE_SECONDS, self._close_if_idle)
        else:
            self._make_last(self.cycle)

    def _make_last(self, cycle: RequestResponseCycle) -> None:
        cycle.keep_alive = False
        cycle.transport = _LastResponseTransport(self)  # type: ignore[assignment]

    def close_after_response(self) -> None:
        """Close; if more requests have arrived, read on for a moment so that the response is not lost."""
        if self._unparsed or self.pipeline:
            self._unparsed, self._flow.has_unparsed = b"", False
            self.pipeline.clear()
            self._close_gently()
        else:
            self.transport.close()

    def _close_gently(self) -> None:
        """Close the sending side, and discard received bytes for a moment."""
        if self.transport.can_write_eof() and self._discarded_bytes < 0:
            self._discarded_bytes = 0
            self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _close_if_idle(self) -> None:
        if not self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    @property
    def is_ending(self) -> bool:
        """Whether the connection reads no more requests."""
        return self._discarded_bytes >= 0 or self.transport.is_closing()

    @property
    def is_waiting(self) -> bool:
        """Whether a complete request has no complete response."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.more_body and not cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        """Parse the data, or discard it after a rejection."""
        self._unset_keepalive_if_required()
        if self._discarded_bytes >= 0:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > LINGER_BYTES:
                self.transport.close()
        else:
            self._feed(bytes(self._unparsed) + data if self._unparsed else data)

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse until a request waits for its response, and keep the rest unparsed."""
        try:
            while data and not self.is_waiting:
                size = max(PIECE, self._body_left)
                if len(data) <= size:
                    piece, data = data, b""
                else:
                    view = memoryview(data)
                    piece, data = view[:size], view[size:]
                self.parse(piece)
        except (RejectedRequest, httptools.HttpParserError) as error:
            data = b""
            self._after_responses = functools.partial(self.reject, _rejection(error))
        if data:
            self.flow.pause_reading()
        self._flow.has_unparsed = bool(data)
        if self._unparsed and not data:
            self.flow.resume_reading()
        self._unparsed = data
        if self._after_responses is not None:
            self._finish()

    def _finish(self) -> None:
        if self._after_responses is not None and not self._unparsed and not self.is_waiting and not self.is_ending:
            action, self._after_responses = self._after_responses, None
            action()

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser.

        Raises:
            HttpParserError, RejectedRequest: the connection ends with an error.
        """
        while data:
            try:
                self.parser.feed_data(data)
                if self._chunks:
                    self._pass_chunks()
                return
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own parser
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        super().on_message_begin()
        self._in_head = True
        self._body_left = 0

    def on_headers_complete(self) -> None:
        """Called by the parser after the head. Checks the head and starts the request."""
        self._in_head = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RejectedRequest(b"400 Bad Request", "bad_request", "CONNECT is not supported")
            return  # the head is parsed again without the offer
        self._check_head()
        super().on_headers_complete()
        self.headers = []  # trailers follow, which are not headers

    def _check_head(self) -> None:
        hosts = 0
        host = b""
        coding: bytes | None = None
        length: bytes | None = None
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                host = value
            elif name == b"content-length":
                length = value
            elif name == b"transfer-encoding":
                coding = value if coding is None else b"%b, %b" % (coding, value)
        if length is not None:
            self._body_left = int(length)
            coding = None  # httptools rejects requests with both
        version = self.parser.get_http_version()
        if version == "1.1" and hosts == 1 and host == self._valid_host and coding is None:
            return  # most requests of a connection
        reason = head_error(version, hosts, host, coding)
        if reason:
            raise RejectedRequest(b"400 Bad Request", "bad_request", reason)
        self._valid_host = host

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a part of a body."""
        self._body_left -= len(body)
        if self._body_left >= 0:
            super().on_body(body)
        else:  # uvicorn copies the earlier parts with each chunk, and a piece may hold hundreds
            self._chunks.append(body)

    def _pass_chunks(self) -> None:
        body = b"".join(self._chunks)
        self._chunks.clear()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request."""
        if not self.parser.should_upgrade():  # otherwise this is only a head, which is parsed again
            if self._chunks:
                self._pass_chunks()
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if self._is_draining():
            self._make_last(cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Continue with the unparsed bytes."""
        if self._after_responses is not None and self.pipeline and self.pipeline[-1][0].more_body:
            self.pipeline.clear()  # the rest of its body never arrives
            self.cycle.response_complete = True
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._unparsed:
            self._feed(self._unparsed)
        elif self._after_responses is not None:
            self._finish()

    def reject(self, rejection: RejectedRequest) -> None:
        """Send the error and close gently."""
        body = self._render_error(rejection.code, rejection.message)
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(head % (rejection.status, len(body)) + body)
        self._cancel_running()
        self._close_gently()
