"""A minimal gRPC client for benchmarks of the model server.

grpcio takes more processor time for a call than the model server does. This client repeats one request on one
connection, with a number of concurrent calls, and checks every response.
"""

import asyncio
import struct
import time
from collections.abc import Callable

import hpack
import uvloop

from serving.gateway.backends.tf_serving.grpc_client import frames

_CONNECTION_WINDOW = 2**30

Check = Callable[[bytes], None]
"""Raises an exception if the response is wrong."""


class _Client(asyncio.Protocol):
    def __init__(self, path: str, request: bytes, check: Check, callers: int, seconds: float) -> None:
        self.took: list[float] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._check = check
        self._callers, self._seconds = callers, seconds
        self._encoder = hpack.Encoder()
        self._headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        self._body = struct.pack(">BI", 0, len(request)) + request
        self._stream = -1
        self._started: dict[int, float] = {}
        self._answers: dict[int, bytes] = {}
        self._rest = b""
        self._used = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        own = frames.settings({frames.INITIAL_WINDOW_SIZE: _CONNECTION_WINDOW})
        transport.write(frames.PREFACE + own + frames.window_update(0, _CONNECTION_WINDOW))
        self._end = time.perf_counter() + self._seconds
        for _ in range(self._callers):
            transport.write(self._call())

    def _call(self) -> bytes:
        """Return the frames of the next call."""
        self._stream += 2
        self._started[self._stream] = time.perf_counter()
        self._answers[self._stream] = b""
        block = self._encoder.encode(self._headers) if self._stream < 4 else self._block
        self._block = block  # from the second call on, HPACK indices replace all names and values
        parts = [frames.frame(frames.HEADERS, frames.END_HEADERS, self._stream, block)]
        size = frames.LARGEST_PAYLOAD
        for at in range(0, len(self._body), size):
            last = frames.END_STREAM if at + size >= len(self._body) else 0
            parts.append(frames.frame(frames.DATA, last, self._stream, self._body[at : at + size]))
        return b"".join(parts)

    def data_received(self, data: bytes) -> None:
        data, at, out = self._rest + data, 0, []
        while len(data) - at >= 9:
            length = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", data, at + 3)
            payload = data[at + 9 : at + 9 + length]
            at += 9 + length
            if kind == frames.DATA:
                self._answers[stream] += payload
                if self._consumed(length):
                    out.append(frames.window_update(0, _CONNECTION_WINDOW // 2))
            elif kind == frames.HEADERS and flags & frames.END_STREAM:
                now = time.perf_counter()
                self.took.append(now - self._started.pop(stream))
                try:
                    self._check(self._answers.pop(stream)[5:])
                except Exception as error:
                    self._fail(error)
                if now < self._end:
                    out.append(self._call())
                elif not self._started:
                    self.ended.set_result(None)
            elif kind in (frames.RST_STREAM, frames.GOAWAY):
                self._fail(RuntimeError("the server reset the stream or the connection"))
        self._rest = data[at:]
        if out:
            self._transport.write(b"".join(out))

    def _consumed(self, size: int) -> bool:
        self._used += size
        if self._used < _CONNECTION_WINDOW // 2:
            return False
        self._used -= _CONNECTION_WINDOW // 2
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError("the connection was lost"))

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


def call(port: int, path: str, request: bytes, check: Check, *, callers: int, seconds: float) -> list[float]:
    """Call for some seconds. Returns the seconds of each call.

    Raises:
        ConnectionError: The connection was lost.
        RuntimeError: The server ended a call without a response.
        Exception: The check rejects a response.
    """

    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(
            lambda: _Client(path, request, check, callers, seconds), "127.0.0.1", port
        )
        await client.ended
        transport.close()
        return client.took

    return uvloop.run(run())
