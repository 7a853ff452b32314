"""One HTTP/2 connection to a server: sends requests and receives responses.

Source: RFC 9113, sections 3.4 (preface), 5 (streams), 6 (frames) and 8.1 (requests).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import cast

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.frame_writer import FrameWriter
from serving.gateway.backends.tf_serving.grpc_client.frames import FrameReader, ProtocolError
from serving.gateway.backends.tf_serving.grpc_client.headers import HeaderDecoder
from serving.gateway.backends.tf_serving.grpc_client.keepalive import Keepalive, enable_tcp_keepalive
from serving.gateway.backends.tf_serving.grpc_client.stream import (
    ResponseTooLarge,
    Stream,
    StreamError,
    StreamResponse,
)

log = logging.getLogger("vitrine.upstream")

_MAX_HEADER_BYTES = 65_536  # an error message in a trailer may be long
_MAX_BUFFERED_RESPONSES = 4  # incomplete responses of one connection may hold this many times the largest response
_WRITE_BUFFER_BYTES = 2**20


class Connection(asyncio.Protocol):
    """A connection that takes requests after ``ready`` and until ``draining``. It closes after its last response.

    Attributes:
        ready: done after the server's first SETTINGS frame; ConnectionError if the connection fails before.
        draining: done when the connection takes no more requests.
        failure: why the connection broke; empty after a regular end.
    """

    def __init__(self, on_change: Callable[[], None], max_response_bytes: int) -> None:
        """Create the protocol of one connection.

        Args:
            on_change: called when the connection may take requests again, or takes no more.
            max_response_bytes: largest response body.
        """
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.draining: asyncio.Future[None] = self._loop.create_future()
        self.failure = ""
        self._on_change = on_change
        self._max_response_bytes = max_response_bytes
        self._stream_window = min(max(max_response_bytes + 1, frames.DEFAULT_WINDOW), frames.MAX_WINDOW)
        self._buffered_bytes = 0  # of incomplete responses
        self._late_bytes = 0  # that the server may still send on cancelled streams
        self._unacknowledged_bytes = 0  # of the connection's receive window
        self._streams: dict[int, Stream] = {}
        self._last_stream_id = -1
        self._max_streams = frames.MAX_STREAM_ID
        self._reader = FrameReader()
        self._header_decoder = HeaderDecoder(_MAX_HEADER_BYTES)
        self._header_block: tuple[int, int, bytearray] | None = None  # stream id, flags and bytes before CONTINUATION
        self._continuations = 0
        self._keepalive = Keepalive(lambda: bool(self._streams), self._send_ping, self._abort_with)
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

    # --- requests ---

    @property
    def has_capacity(self) -> bool:
        """Whether a request can be sent now."""
        return (
            len(self._streams) < self._max_streams
            and not self._writer.paused
            and not self.draining.done()
            and not self._transport.is_closing()
        )

    def request(self, headers: bytes, body: bytes) -> Stream:
        """Send a request. The connection must have capacity, and the body must not be empty."""
        self._last_stream_id += 2
        stream = Stream(self._last_stream_id, self._loop.create_future())
        self._streams[stream.id] = stream
        self._writer.send_request(stream, headers, body)
        if self._last_stream_id >= frames.MAX_STREAM_ID - 2:
            self.drain()
        return stream

    def cancel(self, stream: Stream, error: BaseException | None = None) -> None:
        """Reset a stream; its response fails with this error, if given."""
        if stream.id in self._streams:
            self._writer.write(frames.rst_stream(stream.id, frames.CANCEL))
            self._late_bytes += self._stream_window - len(stream.body)
            self._end_stream(stream, error)

    def drain(self) -> None:
        """Take no more requests, and close after the last response."""
        if not self.draining.done():
            self.draining.set_result(None)
            self._on_change()
        self._close_if_drained()

    def abort(self) -> None:
        """Close immediately; pending requests fail."""
        self._transport.abort()

    # --- transport events ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface and the settings."""
        self._transport = cast(asyncio.Transport, transport)
        self._writer = FrameWriter(self._transport, self._loop)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (protocol := tls.selected_alpn_protocol()) != "h2":
            self._abort_with(f"the server did not select HTTP/2 by ALPN: it selected {protocol or 'nothing'}, not h2")
            return
        enable_tcp_keepalive(transport.get_extra_info("socket"))
        self._transport.set_write_buffer_limits(_WRITE_BUFFER_BYTES)
        own_settings = {
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: self._stream_window,
            frames.MAX_HEADER_LIST_SIZE: _MAX_HEADER_BYTES,
        }
        self._writer.write(frames.PREFACE + frames.settings(own_settings))
        # The stream windows and the limits below bound the memory, so the connection window stays open.
        self._writer.write(frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW))

    def data_received(self, data: bytes) -> None:
        """Handle the received frames."""
        self._keepalive.received = True
        try:
            for kind, flags, stream_id, payload in self._reader.feed(data):
                if self._header_block and kind != frames.CONTINUATION:
                    raise ProtocolError(frames.PROTOCOL_ERROR, "expected a CONTINUATION frame")
                handler = self._handlers.get(kind)
                if handler:
                    handler(flags, stream_id, payload)
            self._writer.after_read()
        except ProtocolError as error:
            self._writer.write(frames.goaway(0, error.code, str(error)))
            self._writer.flush()
            self._transport.close()
            # Closing a TLS connection waits for the peer's close_notify, which a broken peer may not send.
            self._abort_with(f"the server violates HTTP/2: {error}")

    def pause_writing(self) -> None:
        """Keep request bodies while the transport's buffer is full."""
        self._writer.paused = True

    def resume_writing(self) -> None:
        """Send the waiting request bodies."""
        self._writer.resume()
        self._on_change()

    def eof_received(self) -> None:
        """Take no more requests after the server has closed its side."""
        self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending requests."""
        self._keepalive.stop()
        self._fail(f"the connection was lost: {exc}" if exc else "the server closed the connection")

    def _abort_with(self, reason: str) -> None:
        self._fail(reason)
        self.abort()

    def _fail(self, reason: str) -> None:
        if not self.draining.done():
            self.failure = reason
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
            self.ready.exception()  # otherwise asyncio logs the exception if nothing awaits the future
        self.drain()
        for stream in list(self._streams.values()):
            self._end_stream(stream, StreamError(reason))

    def _send_ping(self) -> None:
        self._writer.write(frames.frame(frames.PING, 0, 0, bytes(8)))

    # --- received frames ---

    def _is_own_stream(self, stream_id: int) -> bool:
        """Whether this client has opened the stream, now or earlier."""
        return bool(stream_id & 1) and stream_id <= self._last_stream_id

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._unacknowledged_bytes += size
        if self._unacknowledged_bytes > frames.MAX_WINDOW // 2:
            self._writer.write(frames.window_update(0, self._unacknowledged_bytes))
            self._unacknowledged_bytes = 0
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        stream = self._streams.get(stream_id)
        if stream is not None:
            end = bool(flags & frames.END_STREAM)
            if size > len(payload) and not end:  # padding counts against the window, but not against the limit
                self._writer.write(frames.window_update(stream_id, size - len(payload)))
            self._receive_body(stream, payload, end)
        elif self._is_own_stream(stream_id):
            self._late_bytes -= size
            if self._late_bytes < 0:
                raise ProtocolError(frames.FLOW_CONTROL_ERROR, "more data on ended streams than their windows allow")
        else:
            raise ProtocolError(frames.PROTOCOL_ERROR, f"DATA on stream {stream_id}, which is not open")

    def _receive_body(self, stream: Stream, data: bytes, end: bool) -> None:
        self._buffered_bytes += len(data)
        if not stream.body:
            stream.body = data
        else:
            if not isinstance(stream.body, bytearray):
                stream.body = bytearray(stream.body)
            stream.body += data
        if len(stream.body) > self._max_response_bytes:
            self.cancel(stream, ResponseTooLarge(f"the response exceeds {self._max_response_bytes} bytes"))
        elif end:
            self._complete(stream, {})
        elif self._buffered_bytes > _MAX_BUFFERED_RESPONSES * self._max_response_bytes:
            reason = "the incomplete responses of the connection are too large together"
            self.cancel(stream, StreamError(reason, code=frames.ENHANCE_YOUR_CALM))

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = frames.unpad(payload)
        if flags & frames.PRIORITY_FLAG:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._receive_headers(stream_id, self._header_decoder.decode(payload), bool(flags & frames.END_STREAM))
        else:
            self._header_block = stream_id, flags, bytearray(payload)
            self._continuations = 0

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._header_block or self._header_block[0] != stream_id:
            raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, block = self._header_block
        block += payload
        self._continuations += 1
        # Empty frames count too, otherwise a server could send them without end.
        if len(block) + self._continuations * frames.HEAD_SIZE > _MAX_HEADER_BYTES:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, f"headers exceed {_MAX_HEADER_BYTES} bytes")
        if flags & frames.END_HEADERS:
            self._header_block = None
            headers = self._header_decoder.decode(bytes(block))
            self._receive_headers(stream_id, headers, bool(first_flags & frames.END_STREAM))

    def _receive_headers(self, stream_id: int, headers: Mapping[str, str], end: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            if not self._is_own_stream(stream_id):
                raise ProtocolError(frames.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}, which is not open")
        elif end:
            self._complete(stream, headers)
        elif stream.headers is None and not headers.get(":status", "").startswith("1"):
            stream.headers = headers

    def _complete(self, stream: Stream, trailers: Mapping[str, str]) -> None:
        if stream.unsent:  # the server answers without reading the whole request
            self._writer.write(frames.rst_stream(stream.id, frames.CANCEL))
        headers = trailers if stream.headers is None else stream.headers
        if not stream.response.done():
            stream.response.set_result(StreamResponse(headers, bytes(stream.body), trailers))
        self._end_stream(stream, None)

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        code = frames.read_uint31(payload)
        stream = self._streams.get(stream_id)
        if stream is not None:
            reason = f"the server reset the stream with error {code}"
            self._end_stream(stream, StreamError(reason, code=code, refused=code == frames.REFUSED_STREAM))
        elif not self._is_own_stream(stream_id):
            raise ProtocolError(frames.PROTOCOL_ERROR, f"RST_STREAM on stream {stream_id}, which is not open")

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        _require_connection_frame("SETTINGS", stream_id)
        values = frames.read_settings(payload)
        if flags & frames.ACK:
            return
        if values.get(frames.ENABLE_PUSH):
            raise ProtocolError(frames.PROTOCOL_ERROR, "a server must not set SETTINGS_ENABLE_PUSH")
        self._writer.apply_settings(values)
        self._writer.acknowledge(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._max_streams = values.get(frames.MAX_CONCURRENT_STREAMS, self._max_streams)
        if not self.ready.done():
            self.ready.set_result(None)
            self._keepalive.start()
        self._on_change()

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ProtocolError(frames.PROTOCOL_ERROR, "PUSH_PROMISE, but push is disabled")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        _require_connection_frame("PING", stream_id)
        if len(payload) != 8:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, f"PING payload of {len(payload)} bytes, expected 8")
        if not flags & frames.ACK:
            self._writer.acknowledge(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        _require_connection_frame("GOAWAY", stream_id)
        last, code = frames.read_uint31(payload[:4]), frames.read_uint31(payload[4:8])
        if code != frames.NO_ERROR and not self.draining.done():
            reason = payload[8:].decode(errors="replace")[:200] or "no reason given"
            log.warning("the model server closes the connection with error %d: %s", code, reason)
        for stream in list(self._streams.values()):
            if stream.id > last:
                self._end_stream(stream, StreamError("the server is closing the connection", refused=True))
        self.drain()

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.read_uint31(payload)
        if not increment:
            raise ProtocolError(frames.PROTOCOL_ERROR, "WINDOW_UPDATE with increment 0")
        if not stream_id:
            self._writer.grow_connection_window(increment)
        elif stream := self._streams.get(stream_id):
            self._writer.grow_stream_window(stream, increment)
        elif not self._is_own_stream(stream_id):
            raise ProtocolError(frames.PROTOCOL_ERROR, f"WINDOW_UPDATE on stream {stream_id}, which is not open")

    # --- end ---

    def _end_stream(self, stream: Stream, error: BaseException | None) -> None:
        was_full = not self.has_capacity
        del self._streams[stream.id]
        self._writer.discard(stream)
        self._buffered_bytes -= len(stream.body)
        if error is not None and not stream.response.done():
            stream.response.set_exception(error)
        if was_full and self.has_capacity:
            self._on_change()
        self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self.draining.done() and not self._streams:
            self._writer.flush()
            self._transport.close()


def _require_connection_frame(name: str, stream_id: int) -> None:
    if stream_id:
        raise ProtocolError(frames.PROTOCOL_ERROR, f"{name} on stream {stream_id}, expected 0")
