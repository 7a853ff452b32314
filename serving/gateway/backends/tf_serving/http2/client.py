"""The client's end of a connection: requests go out, each on a stream of its own, and their answers come back.

Source: RFC 9113, sections 3.4 (preface), 5.1 (streams), 6.8 (GOAWAY) and 8.1 (requests).
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

from serving.gateway.backends.tf_serving.http2 import connection, frames

log = logging.getLogger("vitrine.upstream")

_LARGEST_STREAM = 2**31 - 1
_LARGEST_HEADERS = 65_536  # bytes of an answer's, whose message of an error may be long
_MOST_BUFFERED = 4  # largest answers that a connection holds together while they arrive
_SILENCE = 30.0  # seconds without data from the server, with calls pending, after which it is probed
_PING_INTERVAL = 305.0  # seconds; gRPC's servers close a connection that pings more often than every 5 minutes
_PONG_WAIT = 2.0  # seconds that the server has to answer a ping, or its host a TCP segment
_MOST_UNSENT = 2**20  # bytes that the transport may hold before requests wait
_REFUSED = "the server is about to close the connection"


class StreamFailed(Exception):
    """There will be no answer.

    ``code`` is that of the stream's reset, None where the connection broke; ``refused`` is whether the server has not
    begun with the request.
    """

    def __init__(self, why: str, *, code: int | None = None, refused: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.refused = refused


class AnswerTooLarge(StreamFailed):
    """The answer's body is larger than allowed; the stream was reset."""


class Answer(NamedTuple):
    """Trailers are the head's own headers where the answer has no body."""

    head: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str]


class Stream(connection.Stream):
    """A request that is under way."""

    __slots__ = ("answer", "body", "head")

    def __init__(self, number: int, answer: "asyncio.Future[Answer]") -> None:
        super().__init__(number)
        self.answer = answer
        self.head: Mapping[str, str] | None = None
        self.body: bytes | bytearray = b""


class Connection(connection.Connection[Stream]):
    """Takes requests once it is ``ready`` and until it is ``leaving``; closes by itself when the last is answered."""

    def __init__(self, changed: Callable[[], None], largest_answer: int) -> None:
        """Make one.

        Args:
            changed: called when the connection takes requests again, or no longer.
            largest_answer: most bytes of an answer's body.
        """
        super().__init__(dict, serves=False, largest_headers=_LARGEST_HEADERS)
        loop = asyncio.get_running_loop()
        self._largest_answer = largest_answer
        self._stream_window = min(max(largest_answer + 1, frames.DEFAULT_WINDOW), frames.LARGEST_WINDOW)
        self._buffered = 0  # bytes of answers that are not complete
        self._late_data = 0  # bytes that may still come on streams that were given up
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when the server has spoken; with ConnectionError where it never did."""
        self.leaving: asyncio.Future[None] = loop.create_future()
        """Done when no more requests are taken."""
        self.lost_by = ""
        """Why the connection broke; empty where it ends as the two sides agreed."""
        self._changed = changed
        self._most_streams = _LARGEST_STREAM
        self._heard = False
        self._pinged = -math.inf
        self._watch: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether a request can go out now."""
        free = len(self._streams) < self._most_streams and not self._held
        return free and not self.leaving.done() and not self._transport.is_closing()

    def request(self, head: bytes, body: bytes) -> Stream:
        """Sends a request; only where there is room."""
        self._last += 2
        stream = Stream(self._last, self._loop.create_future())
        self._streams[stream.number] = stream
        self._send_headers(stream, head)
        self._send_data(stream, body, end=True)
        if self._last >= _LARGEST_STREAM - 2:
            self.leave()
        return stream

    def cancel(self, stream: Stream, why: BaseException | None = None) -> None:
        """Nobody waits for the answer any more, or for this reason there will be none."""
        if stream.number in self._streams:
            self._write(frames.rst_stream(stream.number, frames.CANCEL))
            self._late_data += self._stream_window - len(stream.body)
            self._end(stream, why)

    def leave(self) -> None:
        """Takes no more requests, and closes when all are answered."""
        if not self.leaving.done():
            self.leaving.set_result(None)
            self._changed()
        self._close_if_idle()

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (agreed := tls.selected_alpn_protocol()) != "h2":
            self._lose(f"the server does not agree to HTTP/2: its ALPN answer is {agreed or 'missing'}, not h2")
            self.abort()
            return
        _notice_lost_hosts(transport.get_extra_info("socket"))
        self._write(frames.PREFACE)
        self._send_settings({frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: self._stream_window})
        self._transport.set_write_buffer_limits(_MOST_UNSENT)

    def pause_writing(self) -> None:
        """The server reads more slowly than it is asked: what is given up meanwhile is never sent."""
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        self._send_blocked()
        self._changed()

    def eof_received(self) -> None:
        self.leave()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._watch:
            self._watch.cancel()
        self._lose(f"the connection broke: {exc}" if exc else "the server closed the connection")

    def _fail(self, error: frames.ConnectionFailed) -> None:
        super()._fail(error)
        self._lose(f"the server breaks the protocol: {error}")
        self.abort()  # a connection with TLS would wait for the server's farewell

    def _lose(self, why: str) -> None:
        if not self.leaving.done():
            self.lost_by = why
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why))
            self.ready.exception()  # else asyncio logs it if no caller waits
        self.leave()
        for stream in list(self._streams.values()):
            self._end(stream, StreamFailed(why))

    def _ask_if_silent(self) -> None:
        now = self._loop.time()
        if self._streams and not self._heard and now - self._pinged >= _PING_INTERVAL:
            self._pinged = now
            self._write(frames.frame(frames.PING, 0, 0, bytes(8)))
            self._watch = self._loop.call_later(_PONG_WAIT, self._give_up_if_silent)
        else:
            self._heard = False
            self._watch = self._loop.call_later(_SILENCE, self._ask_if_silent)

    def _give_up_if_silent(self) -> None:
        if self._heard:
            self._ask_if_silent()
        else:
            self._lose(f"the server did not answer a ping within {_PONG_WAIT:g} s")
            self.abort()

    # --- what comes ---

    def _headers_came(self, number: int, head: Mapping[str, str], end: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            if not self._opened(number):
                raise frames.ConnectionFailed(frames.PROTOCOL_ERROR, f"an answer on stream {number}, not opened by us")
        elif end:
            self._complete(stream, head)
        elif stream.head is None and not head.get(":status", "").startswith("1"):
            stream.head = head

    def _data_came(self, stream: Stream, data: bytes, end: bool) -> None:
        self._buffered += len(data)
        if not stream.body:
            stream.body = data
        elif isinstance(stream.body, bytearray):
            stream.body += data
        else:
            stream.body = bytearray(stream.body)
            stream.body += data
        if len(stream.body) > self._largest_answer:
            self.cancel(stream, AnswerTooLarge(f"the answer is larger than {self._largest_answer} bytes"))
        elif end:
            self._complete(stream, {})
        elif self._buffered > _MOST_BUFFERED * self._largest_answer:
            why = "the answers under way are too large together"
            self.cancel(stream, StreamFailed(why, code=frames.ENHANCE_YOUR_CALM))

    def _late_data_came(self, size: int) -> None:
        self._late_data -= size
        if self._late_data < 0:
            raise frames.ConnectionFailed(frames.FLOW_CONTROL_ERROR, "more data on ended streams than they had window")

    def _complete(self, stream: Stream, trailers: Mapping[str, str]) -> None:
        if stream.waiting:  # the rest of the request is not wanted
            self._write(frames.rst_stream(stream.number, frames.CANCEL))
        head = trailers if stream.head is None else stream.head
        if not stream.answer.done():
            stream.answer.set_result(Answer(head, bytes(stream.body), trailers))
        self._end(stream, None)

    def _reset_came(self, stream: Stream, code: int) -> None:
        why = f"the server reset the stream with error {code}"
        self._end(stream, StreamFailed(why, code=code, refused=code == frames.REFUSED_STREAM))

    def _settings_came(self, values: Mapping[int, int]) -> None:
        self._most_streams = values.get(frames.MAX_CONCURRENT_STREAMS, self._most_streams)
        if not self.ready.done():
            self.ready.set_result(None)
            self._watch = self._loop.call_later(_SILENCE, self._ask_if_silent)
        self._changed()

    def _goaway_came(self, last: int, code: int, why: str) -> None:
        if code != frames.NO_ERROR and not self.leaving.done():
            why = why[:200] or "it does not say why"
            log.warning("the model server ends a connection with error %d: %s", code, why)
        for stream in list(self._streams.values()):
            if stream.number > last:
                self._end(stream, StreamFailed(_REFUSED, refused=True))
        self.leave()

    def _end(self, stream: Stream, why: BaseException | None) -> None:
        was_full = not self.has_room
        self._forget(stream)
        if why is not None and not stream.answer.done():
            stream.answer.set_exception(why)
        if was_full and self.has_room:
            self._changed()
        self._close_if_idle()

    def _forget(self, stream: Stream) -> None:
        super()._forget(stream)
        self._buffered -= len(stream.body)

    def _close_if_idle(self) -> None:
        if self.leaving.done() and not self._streams:
            self._flush()
            self._transport.close()


def _notice_lost_hosts(sock: socket.socket) -> None:
    """Break the connection when the host acknowledges or reads nothing for a while.

    TCP's own probes cost the server's program nothing, so they find a lost host sooner than a ping may be sent.
    """
    if sock.family == socket.AF_UNIX:
        return
    wait = math.ceil(_PONG_WAIT)
    options = {
        "TCP_USER_TIMEOUT": wait * 1000,
        "TCP_KEEPIDLE": math.ceil(_SILENCE),
        "TCP_KEEPINTVL": wait,
        "TCP_KEEPCNT": 1,
    }
    for name, value in options.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
