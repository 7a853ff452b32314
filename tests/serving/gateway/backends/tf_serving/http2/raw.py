"""A client that says what it is told, frame by frame."""

import socket
import struct
from collections.abc import Callable

import hpack
import pytest

from tests.serving.model_server.grpc_api.grpc_servers import Running

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x4, 0x8, 0x20
PROTOCOL_ERROR, FLOW_CONTROL, FRAME_SIZE, REFUSED, COMPRESSION, CALM = 0x1, 0x3, 0x6, 0x7, 0x9, 0xB


class Raw:
    """A client that writes frames one by one and keeps those that come."""

    def __init__(self, server: Running, *, preface: bytes = PREFACE, settings: dict[int, int] | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.rest = b""
        self.socket.sendall(preface)
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in (settings or {}).items()))

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(frame(kind, flags, stream, payload))

    def headers(self, path: str = "/t/echo", **more: str) -> bytes:
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")]
        return bytes(self.encoder.encode([*pairs, *((name.replace("_", "-"), text) for name, text in more.items())]))

    def call(self, stream: int, message: bytes, path: str = "/t/echo") -> None:
        self.send(HEADERS, END_HEADERS, stream, self.headers(path))
        body = prefixed(message)
        for at in range(0, len(body), 16_384):
            self.send(DATA, END_STREAM * (at + 16_384 >= len(body)), stream, body[at : at + 16_384])

    def read(self) -> tuple[int, int, int, bytes]:
        """The next frame; raises EOFError where the server has closed."""
        while len(self.rest) < 9 or len(self.rest) < 9 + int.from_bytes(self.rest[:3], "big"):
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.rest += data
        size = int.from_bytes(self.rest[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
        payload, self.rest = self.rest[9 : 9 + size], self.rest[9 + size :]
        return kind, flags, stream, payload

    def until(self, kind: int, stream: int | None = None) -> tuple[int, int, int, bytes]:
        while True:
            found = self.read()
            if found[0] == kind and stream in (None, found[2]):
                return found

    def answer(self, stream: int) -> tuple[bytes, dict[str, str]]:
        """The body and the last headers of the answer on a stream."""
        body = b""
        while True:
            kind, flags, number, payload = self.read()
            if number == stream and kind == DATA:
                body += payload
            elif kind == HEADERS:
                found = dict(self.decoder.decode(payload))
                if number == stream and flags & END_STREAM:
                    return body, found

    def goaway(self) -> int:
        """The error code with which the server closes."""
        code = int.from_bytes(self.until(GOAWAY)[3][4:8], "big")
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                self.read()
        return code


Connect = Callable[..., Raw]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message
