"""The order of requests on one HTTP/1.1 connection, over uvicorn and httptools.

One request at a time: while a complete request waits for its answer, further bytes are held unparsed and the connection
is not read, so that a client that pipelines costs at most one read and a handful of parsed requests. Other connections
have their turn between any two of its requests.

An offer to change the protocol (``Upgrade``: h2c, TLS, WebSocket) is never taken. RFC 9110, 7.8: the server then
ignores it and answers over HTTP/1.1. The parser would stop at such a head and lose the body.

A client may end its sending side (FIN) and still read: complete requests are answered, then the connection closes. In
the middle of a request FIN means that the client has gone. A reset always does.

What the parser cannot read ends the connection with an error, after the answers to the requests before it. Heads that
two servers might read differently are refused (RFC 9112: ``Host``, ``Transfer-Encoding``, versions); httptools itself
refuses conflicting lengths, folded headers, stray CR and LF, and broken chunks.
"""

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PIECE = 1024  # bytes parsed at once outside a body: what may hold several requests
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*")
_IDLE_SECONDS = 0.2  # before an idle connection closes at shutdown: a request may be on its way
# A client that is refused is read from for so long and so far, so that it gets the answer.
LINGER_SECONDS = 1.0
LINGER_BYTES = 4_000_000


class Refused(Exception):
    """A request that ends its connection. Raised inside the parser's callbacks."""

    def __init__(self, status: bytes, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence


def _refused(error: Exception) -> Refused:
    for cause in (error, error.__context__):
        if isinstance(cause, Refused):
            return cause
    return Refused(b"400 Bad Request", "bad_request", "the request cannot be read as HTTP/1.1")


class _Flow(FlowControl):
    """uvicorn's flow control, but reading stays paused while bytes are held."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class _Last:
    """The transport for a connection's last answer: see :meth:`HttpConnection.close_after_answer`."""

    def __init__(self, connection: "HttpConnection") -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.close_after_answer()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)


class HttpConnection(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        *arguments: Any,
        on_hang_up: Callable[[Any], None],
        render: Callable[[str, str], bytes],
        is_draining: Callable[[], bool] = lambda: False,
        **more: Any,
    ) -> None:
        """Make one connection.

        Args:
            on_hang_up: called with the scope of a request whose client disconnects before its answer is complete.
            render: makes the JSON body of an error from its code and its sentence.
            is_draining: whether the server is about to end. Each answer then closes its connection.
        """
        super().__init__(*arguments, **more)
        self._on_hang_up = on_hang_up
        self._render = render
        self._is_draining = is_draining
        self._running: RequestResponseCycle | None = None  # uvicorn's ``cycle`` is the newest, which may be queued
        self._in_head = False
        self._body_left = 0
        self._host = b""  # of the last request, which was right
        self._chunks: list[bytes] = []
        self._held: bytes | memoryview = b""
        self._last: Callable[[], None] | None = None  # to do after the last answer
        self._discarded = -1  # bytes that came after a refusal

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._abandon()

    def _abandon(self) -> None:
        """Cancel the request under way: its client has gone."""
        running, self._running, self._held = self._running, None, b""
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
            self._on_hang_up(running.scope)

    def eof_received(self) -> bool:  # type: ignore[override]
        if self.scheme == "https":
            return False  # a TLS transport cannot stay open for writing
        self._last = self.transport.close
        if self.is_waiting and not self._held:
            self.cycle.keep_alive = False  # so that its answer says so
        self._finish()
        return not self.transport.is_closing()

    def shutdown(self) -> None:
        """Close after the answer under way; if idle, soon."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_IDLE_SECONDS, self._close_idle)
        else:
            self._make_last(self.cycle)

    def _make_last(self, cycle: RequestResponseCycle) -> None:
        cycle.keep_alive = False
        cycle.transport = _Last(self)  # type: ignore[assignment]

    def close_after_answer(self) -> None:
        """Close; gently if more requests have come, as closing at once would discard the answer with them."""
        if self._held or self.pipeline:
            self._held, self._flow.held = b"", False
            self.pipeline.clear()
            self._end_gently()
        else:
            self.transport.close()

    def _end_gently(self) -> None:
        """End the sending side and discard what still comes, for a moment."""
        if self.transport.can_write_eof() and self._discarded < 0:
            self._discarded = 0
            self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _close_idle(self) -> None:
        if not self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    @property
    def is_ending(self) -> bool:
        """Whether nothing more is read."""
        return self._discarded >= 0 or self.transport.is_closing()

    @property
    def is_waiting(self) -> bool:
        """Whether a complete request has no complete answer."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.more_body and not cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._discarded >= 0:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.close()
        else:
            self._feed(bytes(self._held) + data if self._held else data)

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse until a request waits for its answer, and hold the rest until then."""
        try:
            while data and not self.is_waiting:
                size = max(PIECE, self._body_left)
                if len(data) <= size:
                    piece, data = data, b""
                else:
                    view = memoryview(data)
                    piece, data = view[:size], view[size:]
                self.parse(piece)
        except (Refused, httptools.HttpParserError) as error:
            data = b""
            self._last = functools.partial(self.refuse, _refused(error))
        if data:
            self.flow.pause_reading()
        self._flow.held = bool(data)
        if self._held and not data:
            self.flow.resume_reading()
        self._held = data
        self._finish()

    def _finish(self) -> None:
        if self._last is not None and not self._held and not self.is_waiting and not self.is_ending:
            last, self._last = self._last, None
            last()

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser.

        Raises:
            HttpParserError, Refused: the connection ends with an error.
        """
        while data:
            try:
                self.parser.feed_data(data)
                self._pass_chunks()
                return
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
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
        self._body_left = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Refused(b"400 Bad Request", "bad_request", "CONNECT is not supported")
            return  # the head is parsed again without the offer
        self._check_head()
        super().on_headers_complete()
        self.headers = []  # trailers follow, which are no headers

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
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
        wrong = ""
        if version not in ("1.1", "1.0"):
            wrong = f"the request is HTTP/{version}; send HTTP/1.1"
        elif hosts != 1 and (hosts or version == "1.1"):
            wrong = f"the request has {hosts} Host headers; send one"
        elif host != self._host:  # most requests of a connection name the same one
            if not _HOST.fullmatch(host):
                wrong = "the Host header is not a host name with an optional port"
            self._host = host
        if length is not None:
            self._body_left = int(length)
        elif coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
            wrong = f"Transfer-Encoding in HTTP/{version} is {coding.decode('latin-1')[:40]!r}; send chunked by 1.1"
        if wrong:
            raise Refused(b"400 Bad Request", "bad_request", wrong)

    def on_body(self, body: bytes) -> None:
        self._body_left -= len(body)
        if self._body_left >= 0:
            super().on_body(body)
        else:  # uvicorn copies what came before with each chunk, and a piece may hold hundreds
            self._chunks.append(body)

    def _pass_chunks(self) -> None:
        if self._chunks:
            body = b"".join(self._chunks)
            self._chunks.clear()
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():  # else this is the head alone, which is parsed again
            self._pass_chunks()
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if self._is_draining():
            self._make_last(cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if self._last is not None and self.pipeline and self.pipeline[-1][0].more_body:
            self.pipeline.clear()  # the rest of its body never comes
            self.cycle.response_complete = True
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._held:
            self._feed(self._held)
        else:
            self._finish()

    def refuse(self, refused: Refused) -> None:
        """Write the error, and read on for a moment.

        Closing at once would discard the error with the unread bytes.
        """
        body = self._render(refused.code, refused.sentence)
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(head % (refused.status, len(body)) + body)
        self._abandon()
        self._end_gently()
