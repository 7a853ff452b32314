"""Outgoing frames: one write per event loop turn, within the server's flow-control windows.

Source: RFC 9113, section 5.2 (flow control).
"""

import asyncio

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.frames import ProtocolError
from serving.gateway.backends.tf_serving.grpc_client.stream import Stream

_MAX_UNREAD_ACKS = 1000
_TABLE_SIZE_ZERO = b"\x20"  # dynamic table size update to 0 (RFC 7541, 4.2 and 6.3)


class FrameWriter:
    """Writes frames to a transport.

    Attributes:
        paused: the transport's buffer is full. Request bodies wait here meanwhile, so that cancelled ones are not sent.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.paused = False
        self._transport = transport
        self._loop = loop
        self._buffer: list[bytes] = []
        self._window = frames.DEFAULT_WINDOW
        self._initial_window = frames.DEFAULT_WINDOW
        self._max_frame_size = frames.DEFAULT_MAX_FRAME_SIZE
        self._blocked: dict[int, Stream] = {}  # streams with unsent data
        self._windows_grew = False  # since the blocked streams were last tried
        self._unread_acks = 0
        self._table_size_update = b""  # precedes the next header block

    def write(self, frame: bytes) -> None:
        """Queue a frame. All frames of one event loop turn go out in one write."""
        if not self._buffer:
            self._loop.call_soon(self.flush)
        self._buffer.append(frame)

    def flush(self) -> None:
        """Write the queued frames now."""
        buffer, self._buffer = self._buffer, []
        if buffer and not self._transport.is_closing():
            self._transport.write(b"".join(buffer))

    def acknowledge(self, frame: bytes) -> None:
        """Queue the reply to a SETTINGS or PING frame.

        Raises:
            ProtocolError: the server sends such frames without reading the replies.
        """
        self._unread_acks = self._unread_acks + 1 if self.paused else 0
        if self._unread_acks > _MAX_UNREAD_ACKS:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, f"{_MAX_UNREAD_ACKS} acknowledgements are not read")
        self.write(frame)

    def send_request(self, stream: Stream, headers: bytes, body: bytes) -> None:
        """Send a request, or as much of its body as the windows allow. The body is not empty."""
        if self._table_size_update:
            headers, self._table_size_update = self._table_size_update + headers, b""
        self.write(frames.frame(frames.HEADERS, frames.END_HEADERS, stream.id, headers))
        size = len(body)
        if not self.paused and size <= min(self._initial_window, self._window, self._max_frame_size):
            stream.window_credit = -size
            self._window -= size
            self.write(frames.frame(frames.DATA, frames.END_STREAM, stream.id, body))
        else:
            stream.unsent = memoryview(body)
            self._blocked[stream.id] = stream
            self._send_unsent(stream)

    def discard(self, stream: Stream) -> None:
        """Drop the unsent data of a stream that has ended."""
        self._blocked.pop(stream.id, None)

    def resume(self) -> None:
        """Continue after the transport has room again."""
        self.paused = False
        self._send_blocked()

    def apply_settings(self, values: dict[int, int]) -> None:
        """Apply the settings of the server that concern outgoing frames.

        Raises:
            ProtocolError: a value is out of range.
        """
        window = values.get(frames.INITIAL_WINDOW_SIZE, self._initial_window)
        if window > frames.MAX_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE is {window}")
        size = values.get(frames.MAX_FRAME_SIZE, self._max_frame_size)
        if not frames.DEFAULT_MAX_FRAME_SIZE <= size < 2**24:
            raise ProtocolError(frames.PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE is {size}")
        self._initial_window = window
        self._max_frame_size = size
        if frames.HEADER_TABLE_SIZE in values:
            self._table_size_update = _TABLE_SIZE_ZERO  # this client does not use the table
        self._windows_grew = True

    def grow_connection_window(self, increment: int) -> None:
        """Apply a WINDOW_UPDATE of the connection.

        Raises:
            ProtocolError: the window exceeds 2^31 - 1 bytes.
        """
        self._window += increment
        if self._window > frames.MAX_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "the connection window exceeds 2^31 - 1 bytes")
        self._windows_grew = True

    def grow_stream_window(self, stream: Stream, increment: int) -> None:
        """Apply a WINDOW_UPDATE of a stream.

        Raises:
            ProtocolError: the window exceeds 2^31 - 1 bytes.
        """
        stream.window_credit += increment
        if self._initial_window + stream.window_credit > frames.MAX_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, f"the window of stream {stream.id} exceeds 2^31 - 1 bytes")
        if stream.id in self._blocked:
            self._send_unsent(stream)

    def after_read(self) -> None:
        """Send what larger windows allow.

        The connection calls it once after all received frames, because each call visits every blocked stream.
        """
        if self._windows_grew:
            self._windows_grew = False
            self._send_blocked()

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            if self._window <= 0:
                break
            self._send_unsent(stream)

    def _send_unsent(self, stream: Stream) -> None:
        if self.paused:
            return
        unsent = stream.unsent
        while unsent:
            window = min(self._initial_window + stream.window_credit, self._window)
            size = min(len(unsent), window, self._max_frame_size)
            if size <= 0:
                break
            piece, unsent = unsent[:size], unsent[size:]
            stream.window_credit -= size
            self._window -= size
            self.write(frames.frame(frames.DATA, 0 if unsent else frames.END_STREAM, stream.id, piece))
        stream.unsent = unsent
        if not unsent:
            del self._blocked[stream.id]
