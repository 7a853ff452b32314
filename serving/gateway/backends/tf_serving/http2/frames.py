"""Frames: their numbers, how they are written, and how they are read from bytes that come in any pieces.

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
PRIORITY_GIVEN = 0x20

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
LARGEST_WINDOW = 2**31 - 1
LARGEST_PAYLOAD = 16_384
"""What either side may send unless the other allows more; this one never does."""

_HEAD = struct.Struct(">IBI")  # length and kind in one number, flags, stream
HEAD_SIZE = _HEAD.size
"""Bytes of a frame before its payload."""

_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")


class ConnectionFailed(Exception):
    """The other side broke the protocol: the connection ends with this error code."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame. Its payload must not be longer than the other side allows."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def window_update(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(more))


def rst_stream(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last: int, code: int, why: str = "") -> bytes:
    """``last``: the highest stream that is still answered."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last) + _NUMBER.pack(code) + why.encode())


class Reader:
    """Frames out of bytes as they come; where ``preface`` says so, that of a client first."""

    def __init__(self, *, preface: bool) -> None:
        self._rest = b""
        self._preface = preface

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and payload of each frame that is whole by now.

        Raises:
            ConnectionFailed: it is no HTTP/2, or a frame is longer than allowed.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if self._preface:
            if not data.startswith(PREFACE[:end]):
                raise ConnectionFailed(PROTOCOL_ERROR, "this is a gRPC port: the connection must speak HTTP/2")
            if end < len(PREFACE):
                self._rest = data
                return
            self._preface = False
            at = len(PREFACE)
        self._rest = b""
        while end - at >= HEAD_SIZE:
            length, flags, stream = _HEAD.unpack_from(data, at)
            kind = length & 0xFF
            length >>= 8
            if length > LARGEST_PAYLOAD:
                raise ConnectionFailed(FRAME_SIZE_ERROR, f"a frame of {length} bytes; {LARGEST_PAYLOAD} are allowed")
            start = at + HEAD_SIZE
            if end - start < length:
                break
            at = start + length
            yield kind, flags, stream & 0x7FFFFFFF, data[start:at]
        self._rest = data[at:]


def number(payload: bytes) -> int:
    """The one number that a WINDOW_UPDATE or RST_STREAM holds.

    Raises:
        ConnectionFailed: the payload is not four bytes.
    """
    if len(payload) != _NUMBER.size:
        raise ConnectionFailed(FRAME_SIZE_ERROR, f"a payload of {len(payload)} bytes instead of four")
    return int(_NUMBER.unpack(payload)[0]) & LARGEST_WINDOW


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    if len(payload) % _SETTING.size:
        raise ConnectionFailed(FRAME_SIZE_ERROR, "settings have six bytes each")
    return list(_SETTING.iter_unpack(payload))


def unpad(payload: bytes) -> bytes:
    """A payload whose frame has the flag PADDED, without its padding."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailed(PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
