"""HTTP/2 frames: constants, encoding, and incremental decoding.

Source: RFC 9113, sections 4, 6 and 7.
"""

import struct
from collections.abc import Iterator, Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

# Flags.
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

# Settings.
HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6

# Error codes.
NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB
INADEQUATE_SECURITY = 0xC

DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
MAX_STREAM_ID = 2**31 - 1
DEFAULT_MAX_FRAME_SIZE = 16_384
"""Largest payload that a peer may send unless the other side's settings allow more. This client never allows more."""

_HEAD = struct.Struct(">IBI")  # length and type in one number, flags, stream
HEAD_SIZE = _HEAD.size
"""Bytes of a frame before its payload."""

_SETTING = struct.Struct(">HI")
_UINT32 = struct.Struct(">I")


class ProtocolError(Exception):
    """The peer violates HTTP/2: a connection error with this error code (RFC 9113, 5.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview = b"") -> bytes:
    """Encode one frame."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """Encode a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def window_update(stream_id: int, increment: int) -> bytes:
    """Encode a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, _UINT32.pack(increment))


def rst_stream(stream_id: int, code: int) -> bytes:
    """Encode a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, _UINT32.pack(code))


def goaway(last_stream_id: int, code: int, reason: str = "") -> bytes:
    """Encode a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _UINT32.pack(last_stream_id) + _UINT32.pack(code) + reason.encode())


class FrameReader:
    """Splits received bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield type, flags, stream id and payload of each complete frame.

        Raises:
            ProtocolError: a frame is longer than allowed, or the bytes are not HTTP/2.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        while end - at >= HEAD_SIZE:
            length, flags, stream_id = _HEAD.unpack_from(data, at)
            kind = length & 0xFF
            length >>= 8
            if length > DEFAULT_MAX_FRAME_SIZE:
                raise ProtocolError(FRAME_SIZE_ERROR, f"frame of {length} bytes, limit {DEFAULT_MAX_FRAME_SIZE}")
            start = at + HEAD_SIZE
            if end - start < length:
                break
            at = start + length
            yield kind, flags, stream_id & 0x7FFFFFFF, data[start:at]
        self._rest = data[at:]


def read_uint31(payload: bytes) -> int:
    """Decode the 31-bit number of a WINDOW_UPDATE, RST_STREAM or GOAWAY frame.

    Raises:
        ProtocolError: the payload is not four bytes long.
    """
    if len(payload) != _UINT32.size:
        raise ProtocolError(FRAME_SIZE_ERROR, f"payload of {len(payload)} bytes, expected 4")
    return int(_UINT32.unpack(payload)[0]) & 0x7FFFFFFF


def read_settings(payload: bytes) -> dict[int, int]:
    """Decode a SETTINGS payload. The last value of a repeated setting counts.

    Raises:
        ProtocolError: the payload is not a multiple of six bytes.
    """
    if len(payload) % _SETTING.size:
        raise ProtocolError(FRAME_SIZE_ERROR, f"SETTINGS payload of {len(payload)} bytes, expected a multiple of 6")
    return dict(_SETTING.iter_unpack(payload))


def unpad(payload: bytes) -> bytes:
    """Remove the padding of a frame with the PADDED flag.

    Raises:
        ProtocolError: the padding is longer than the payload.
    """
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(PROTOCOL_ERROR, "padding is longer than the payload")
    return payload[1 : len(payload) - payload[0]]
