"""A connection of a client and the streams on it: one request and its answer each.

Source: RFC 9113, sections 5 (streams, flow control), 6 (what each frame does) and 8.1 (requests).
"""

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hpack

from serving.model_server.http2 import frames
from serving.model_server.http2.frames import ConnectionFailed
from serving.model_server.http2.stream import Application, Stream

_LARGEST_HEADERS = 16_384  # bytes of all headers of a request, as gRPC's own servers allow
_REMEMBERED = 64  # blocks of headers whose meaning is kept
_LARGEST_STREAM = 2**31 - 1
_ACK_WAIT = 1.0  # seconds for a client to learn that the connection will end


@dataclass(frozen=True)
class Limits:
    """What a connection may hold, and for how long; None: no limit."""

    most_streams: int | None = None
    age: float | None = None
    """Seconds until it is drained, give or take a tenth."""
    grace: float | None = None
    """Seconds that its streams have after that."""


class Connection(asyncio.Protocol):
    """Reads frames and tells the application of requests; writes answers within the client's windows."""

    def __init__(self, application: Application, connections: "set[Connection]", limits: Limits) -> None:
        """``connections`` holds this one as long as it lasts."""
        self._application = application
        self._connections = connections
        self._limits = limits
        self._reader = frames.Reader()
        self._decoder = hpack.Decoder(max_header_list_size=_LARGEST_HEADERS)
        self._heads: dict[bytes, Any] = {}  # by block of headers, as long as the decoder's table is the same
        self._partial: tuple[int, int, list[bytes]] | None = None  # headers to be continued: stream, flags, parts
        self._streams: dict[int, Stream] = {}
        self._blocked: dict[int, Stream] = {}  # those with data that waits for a window
        self._last = 0
        self._window = self._first_window = frames.DEFAULT_WINDOW
        self._largest_payload = frames.LARGEST_PAYLOAD
        self._consumed = 0
        self._table_update = b""  # goes before the next block of headers
        self._out: list[bytes] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._draining = False
        self._refusing = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is no more."""
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.CONTINUATION: self._on_continuation,
            frames.RST_STREAM: self._on_rst_stream,
            frames.SETTINGS: self._on_settings,
            frames.PING: self._on_ping,
            frames.WINDOW_UPDATE: self._on_window_update,
        }

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connections.add(self)
        if self._limits.age is not None:
            self._later(self._limits.age * random.uniform(0.9, 1.1), self.drain)
        own = {
            frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: _LARGEST_HEADERS,
        }
        if self._limits.most_streams is not None:
            own[frames.MAX_CONCURRENT_STREAMS] = self._limits.most_streams
        self._write(frames.settings(own))
        self._write(frames.window_update(0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW))

    def data_received(self, data: bytes) -> None:
        try:
            for kind, flags, number, payload in self._reader.feed(data):
                if self._partial and kind != frames.CONTINUATION:
                    raise ConnectionFailed(frames.PROTOCOL_ERROR, "headers must be continued before anything else")
                handle = self._handlers.get(kind)
                if handle:
                    handle(flags, number, payload)
        except ConnectionFailed as error:
            self._write(frames.goaway(self._last, error.code, str(error)))
            self._flush()
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        for timer in self._timers:
            timer.cancel()
        for stream in list(self._streams.values()):
            self._forget(stream)
        self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks: nothing more is read from it until it has caught up."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    # --- frames that come ---

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed > frames.LARGEST_WINDOW // 2:
            self._write(frames.window_update(0, self._consumed))
            self._consumed = 0
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        stream = self._streams.get(number)
        if stream is None or stream.complete:
            if not 0 < number <= self._last:
                raise ConnectionFailed(frames.PROTOCOL_ERROR, f"data on stream {number}, which nobody opened")
            return  # answered, or reset, before the client knew
        stream.parts.append(payload)
        stream.size += len(payload)
        if flags & frames.END_STREAM:
            self._complete(stream)
        else:
            self._application.received(stream)

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        if flags & frames.PRIORITY_GIVEN:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._open(number, flags, payload)
        else:
            self._partial = number, flags, [payload]

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if not self._partial or self._partial[0] != number:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, "a continuation of no headers")
        _, first_flags, parts = self._partial
        parts.append(payload)
        if sum(map(len, parts)) > _LARGEST_HEADERS:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, f"headers of more than {_LARGEST_HEADERS} bytes")
        if flags & frames.END_HEADERS:
            self._partial = None
            self._open(number, first_flags, b"".join(parts))

    def _open(self, number: int, flags: int, block: bytes) -> None:
        head = self._heads.get(block)
        if head is None:
            head = self._decode(block)
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
            stream = self._streams[number] = Stream(self, number, head, self._first_window)
            self._application.opened(stream)
        if flags & frames.END_STREAM and not stream.complete and number in self._streams:
            self._complete(stream)

    def _decode(self, block: bytes) -> Any:
        """The head of a request; remembered if it left the table of headers as it was."""
        table = self._decoder.header_table.dynamic_entries
        before = len(table), table[0] if table else None
        try:
            headers = cast(list[tuple[str, str]], self._decoder.decode(block))
        except hpack.OversizedHeaderListError:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, f"headers of more than {_LARGEST_HEADERS} bytes") from None
        except hpack.HPACKError as error:
            raise ConnectionFailed(frames.COMPRESSION_ERROR, str(error)) from None
        head = self._application.head(headers)
        table = self._decoder.header_table.dynamic_entries
        same = before[0] == len(table) and (not table or before[1] is table[0])
        if not same or len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        if same:
            self._heads[block] = head
        return head

    def _complete(self, stream: Stream) -> None:
        stream.complete = True
        self._application.complete(stream)

    def _on_rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        frames.number(payload)
        stream = self._streams.get(number)
        if stream:
            self._forget(stream)
        elif not 0 < number <= self._last:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"a reset of stream {number}, which nobody opened")

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for name, value in frames.read_settings(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST_WINDOW:
                    raise ConnectionFailed(frames.FLOW_CONTROL_ERROR, f"a window of {value} bytes")
                for stream in self._streams.values():
                    stream.window += value - self._first_window
                self._first_window = value
            elif name == frames.MAX_FRAME_SIZE:
                if not frames.LARGEST_PAYLOAD <= value < 2**24:
                    raise ConnectionFailed(frames.PROTOCOL_ERROR, f"frames of {value} bytes")
                self._largest_payload = value
            elif name == frames.HEADER_TABLE_SIZE:
                self._table_update = b"\x20"  # a table of no size: none is used (RFC 7541, 4.2 and 6.3)
        self._write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._send_blocked()

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionFailed(frames.FRAME_SIZE_ERROR, "a ping has eight bytes")
        if not flags & frames.ACK:
            self._write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif self._draining:
            self._refuse_streams()

    def _on_window_update(self, flags: int, number: int, payload: bytes) -> None:
        more = frames.number(payload)
        stream = self._streams.get(number) if number else None
        if number == 0:
            self._window += more
        elif stream:
            stream.window += more
        if max(self._window, stream.window if stream else 0) > frames.LARGEST_WINDOW:
            raise ConnectionFailed(frames.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1 bytes")
        if more == 0:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, "a window update by nothing")
        self._send_blocked()

    # --- answers ---

    def holds(self, stream: Stream) -> bool:
        return self._streams.get(stream.number) is stream

    def send_headers(self, stream: Stream, block: bytes) -> None:
        if self.holds(stream):
            self._write(frames.frame(frames.HEADERS, frames.END_HEADERS, stream.number, self._updated(block)))

    def send(self, stream: Stream, data: bytes) -> None:
        if not self.holds(stream):
            return
        size = len(data)
        if not stream.waiting and size <= min(stream.window, self._window, self._largest_payload):
            stream.window -= size
            self._window -= size
            self._write(frames.frame(frames.DATA, 0, stream.number, data))
        else:
            stream.waiting += data
            self._blocked[stream.number] = stream
            self._send_waiting(stream)

    def end(self, stream: Stream, trailers: bytes) -> None:
        if not self.holds(stream):
            return
        if stream.waiting:
            stream.trailers = trailers
            return
        flags = frames.END_HEADERS | frames.END_STREAM
        self._write(frames.frame(frames.HEADERS, flags, stream.number, self._updated(trailers)))
        if not stream.complete:  # the rest of the request is not wanted
            self._write(frames.rst_stream(stream.number, frames.NO_ERROR))
        self._forget(stream)

    def _updated(self, block: bytes) -> bytes:
        if self._table_update:
            block, self._table_update = self._table_update + block, b""
        return block

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            self._send_waiting(stream)

    def _send_waiting(self, stream: Stream) -> None:
        waiting, sent = memoryview(stream.waiting), 0
        while (size := min(len(waiting) - sent, stream.window, self._window, self._largest_payload)) > 0:
            self._write(frames.frame(frames.DATA, 0, stream.number, bytes(waiting[sent : sent + size])))
            stream.window -= size
            self._window -= size
            sent += size
        waiting.release()
        del stream.waiting[:sent]
        if not stream.waiting:
            self._blocked.pop(stream.number, None)
            if stream.trailers:
                self.end(stream, stream.trailers)

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.number]
        self._blocked.pop(stream.number, None)
        self._application.closed(stream)
        self._close_if_idle()

    def _write(self, data: bytes) -> None:
        """In one piece with all that this turn of the loop has to say."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    # --- the end ---

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

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, work))

    def _refuse_streams(self) -> None:
        if self._refusing:
            return
        self._refusing = True
        self._write(frames.goaway(self._last, frames.NO_ERROR))
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._refusing and not self._streams:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """End now, whatever is under way."""
        self._transport.abort()
