"""What both ends of a connection do: they read frames, keep to the other side's windows, and answer pings.

Source: RFC 9113, sections 5 (streams, flow control) and 6 (what each frame does).
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from serving.gateway.backends.tf_serving.http2 import frames
from serving.gateway.backends.tf_serving.http2.frames import ConnectionFailed
from serving.gateway.backends.tf_serving.http2.headers import HeadReader

_MOST_ACKS = 1000  # acknowledgements that wait for the other side to read


class Stream:
    """One request and its answer, with what is on its way to the other side."""

    __slots__ = ("credit", "ends", "number", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.credit = 0
        """Window of the stream less the initial window, which the other side may change for all streams at once."""
        self.waiting = bytearray()
        """What is to be sent and needs a larger window."""
        self.ends = False
        """Whether nothing comes after what waits."""


AnyStream = TypeVar("AnyStream", bound=Stream)


class Connection(asyncio.Protocol, ABC, Generic[AnyStream]):
    """One end, either of them."""

    def __init__(self, meaning: Callable[[list[tuple[str, str]]], Any], *, serves: bool, largest_headers: int) -> None:
        """``meaning`` is what is wanted of a list of headers, asked once for those with the same bytes; ``serves`` is
        whether this is the server's end; ``largest_headers`` are the bytes of all headers of a message."""
        self._serves = serves
        self._largest_headers = largest_headers
        self._reader = frames.Reader(preface=serves)
        self._heads = HeadReader(meaning, largest_headers)
        self._partial: tuple[int, int, bytearray] | None = None  # headers to be continued: stream, flags, what came
        self._continuations = 0  # frames of them
        self._streams: dict[int, AnyStream] = {}
        self._blocked: dict[int, AnyStream] = {}  # those with data that waits for a window
        self._last = -1  # the highest stream that the client opened
        self._window = self._first_window = frames.DEFAULT_WINDOW
        self._largest_payload = frames.LARGEST_PAYLOAD
        self._consumed = 0
        self._windows_grew = False  # since blocked streams were last looked at
        self._held = False  # whether data has to wait until the transport has sent what it has
        self._held_acks = 0
        self._table_update = b""  # goes before the next block of headers
        self._out: list[bytes] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.CONTINUATION: self._on_continuation,
            frames.RST_STREAM: self._on_rst_stream,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push_promise,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }

    # --- what the two ends do each in its way ---

    @abstractmethod
    def _headers_came(self, number: int, head: Any, end: bool) -> None:
        """``end`` is whether the other side says no more on this stream."""

    @abstractmethod
    def _data_came(self, stream: AnyStream, data: bytes, end: bool) -> None: ...

    @abstractmethod
    def _reset_came(self, stream: AnyStream, code: int) -> None: ...

    def _late_data_came(self, size: int) -> None:
        """Data of a stream that has ended on this side."""

    def _settings_came(self, values: Mapping[int, int]) -> None:
        """Called after what all connections do with them."""

    def _ping_came(self) -> None:
        """The other side asks whether this one is there."""

    def _pong_came(self) -> None:
        """The other side has read what was sent before our ping."""

    def _goaway_came(self, last: int, code: int, why: str) -> None:
        """The other side takes no stream after this one."""

    def _all_sent(self, stream: AnyStream) -> None:
        """What waited for a window has gone."""

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, flags, number, payload in self._reader.feed(data):
                if self._partial and kind != frames.CONTINUATION:
                    raise ConnectionFailed(frames.PROTOCOL_ERROR, "headers must be continued before anything else")
                handle = self._handlers.get(kind)
                if handle:
                    handle(flags, number, payload)
            if self._windows_grew:  # once for all frames: each walk passes every blocked stream
                self._windows_grew = False
                self._send_blocked()
        except ConnectionFailed as error:
            self._fail(error)

    def _fail(self, error: ConnectionFailed) -> None:
        self._write(frames.goaway(max(self._last, 0) if self._serves else 0, error.code, str(error)))
        self._flush()
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()

    def abort(self) -> None:
        """End now, whatever is under way."""
        self._transport.abort()

    # --- frames that come ---

    def _opened(self, number: int) -> bool:
        """Whether the stream is there, or was."""
        return 0 < number <= self._last

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed > frames.LARGEST_WINDOW // 2:
            self._write(frames.window_update(0, self._consumed))
            self._consumed = 0
        size = len(payload)
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        stream = self._streams.get(number)
        if stream is not None:
            if size > len(payload) and not flags & frames.END_STREAM:
                self._write(frames.window_update(number, size - len(payload)))  # padding counts against the window
            self._data_came(stream, payload, bool(flags & frames.END_STREAM))
        elif self._opened(number):
            self._late_data_came(size)
        else:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"data on stream {number}, which nobody opened")

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        if flags & frames.PRIORITY_GIVEN:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._headers_came(number, self._heads.read(payload), bool(flags & frames.END_STREAM))
        else:
            self._partial = number, flags, bytearray(payload)
            self._continuations = 0

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if not self._partial or self._partial[0] != number:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, "a continuation of no headers")
        _, first_flags, block = self._partial
        block += payload
        self._continuations += 1
        # Empty frames count as well, or they could come without end.
        if len(block) + self._continuations * frames.HEAD_SIZE > self._largest_headers:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, f"headers of more than {self._largest_headers} bytes")
        if flags & frames.END_HEADERS:
            self._partial = None
            head = self._heads.read(bytes(block))
            self._headers_came(number, head, bool(first_flags & frames.END_STREAM))

    def _on_rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        code = frames.number(payload)
        stream = self._streams.get(number)
        if stream:
            self._reset_came(stream, code)
        elif not self._opened(number):
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"a reset of stream {number}, which nobody opened")

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        values = dict(frames.read_settings(payload))  # the last value of each counts
        for name, value in values.items():
            if name == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST_WINDOW:
                    raise ConnectionFailed(frames.FLOW_CONTROL_ERROR, f"a window of {value} bytes")
                self._first_window = value
            elif name == frames.MAX_FRAME_SIZE:
                if not frames.LARGEST_PAYLOAD <= value < 2**24:
                    raise ConnectionFailed(frames.PROTOCOL_ERROR, f"frames of {value} bytes")
                self._largest_payload = value
            elif name == frames.HEADER_TABLE_SIZE:
                self._table_update = b"\x20"  # a table of no size: none is used (RFC 7541, 4.2 and 6.3)
        self._acknowledge(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._windows_grew = True
        self._settings_came(values)

    def _on_push_promise(self, flags: int, number: int, payload: bytes) -> None:
        raise ConnectionFailed(frames.PROTOCOL_ERROR, "a push, which was not allowed")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionFailed(frames.FRAME_SIZE_ERROR, "a ping has eight bytes")
        if flags & frames.ACK:
            self._pong_came()
        else:
            self._ping_came()
            self._acknowledge(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _on_goaway(self, flags: int, number: int, payload: bytes) -> None:
        self._goaway_came(frames.number(payload[:4]), frames.number(payload[4:8]), payload[8:].decode(errors="replace"))

    def _on_window_update(self, flags: int, number: int, payload: bytes) -> None:
        more = frames.number(payload)
        if more == 0:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, "a window update by nothing")
        stream = self._streams.get(number) if number else None
        if number == 0:
            self._window += more
            self._windows_grew = True
        elif stream:
            stream.credit += more
        if max(self._window, self._first_window + stream.credit if stream else 0) > frames.LARGEST_WINDOW:
            raise ConnectionFailed(frames.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1 bytes")
        if number in self._blocked:
            self._send_waiting(self._blocked[number])

    # --- frames that go ---

    def _send_settings(self, more: dict[int, int]) -> None:
        """Send this side's settings.

        Windows never close unless ``more`` has another: other limits bound what comes.
        """
        own = {frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW, frames.MAX_HEADER_LIST_SIZE: self._largest_headers}
        self._write(frames.settings(own | more))
        self._write(frames.window_update(0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW))

    def _send_headers(self, stream: AnyStream, block: bytes, *, end: bool = False) -> None:
        if self._table_update:
            block, self._table_update = self._table_update + block, b""
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        self._write(frames.frame(frames.HEADERS, flags, stream.number, block))

    def _send_data(self, stream: AnyStream, data: bytes, *, end: bool = False) -> None:
        """Sends as much as the windows and the transport allow; the rest waits in memory."""
        size = len(data)
        window = min(self._first_window + stream.credit, self._window)
        if not stream.waiting and not self._held and size <= min(window, self._largest_payload):
            stream.credit -= size
            self._window -= size
            self._write(frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream.number, data))
        else:
            stream.waiting += data
            stream.ends = end
            self._blocked[stream.number] = stream
            self._send_waiting(stream)

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            if self._window <= 0:
                break
            self._send_waiting(stream)

    def _send_waiting(self, stream: AnyStream) -> None:
        if self._held:
            return
        waiting, sent = memoryview(stream.waiting), 0
        while True:
            window = min(self._first_window + stream.credit, self._window)
            size = min(len(waiting) - sent, window, self._largest_payload)
            if size <= 0:
                break
            piece = bytes(waiting[sent : sent + size])
            stream.credit -= size
            self._window -= size
            sent += size
            flags = frames.END_STREAM if stream.ends and sent == len(waiting) else 0
            self._write(frames.frame(frames.DATA, flags, stream.number, piece))
        waiting.release()
        del stream.waiting[:sent]
        if not stream.waiting:
            self._blocked.pop(stream.number, None)
            self._all_sent(stream)

    def _forget(self, stream: AnyStream) -> None:
        del self._streams[stream.number]
        self._blocked.pop(stream.number, None)

    def _acknowledge(self, data: bytes) -> None:
        """Write an answer to a control frame.

        Raises:
            ConnectionFailed: the other side sends many and does not read the answers.
        """
        self._held_acks = self._held_acks + 1 if self._held else 0
        if self._held_acks > _MOST_ACKS:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, f"more than {_MOST_ACKS} acknowledgements are not read")
        self._write(data)

    def _write(self, data: bytes) -> None:
        """In one piece with all that this turn of the loop has to say."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, work))
