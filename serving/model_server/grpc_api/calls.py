"""gRPC's calls on HTTP/2 streams: messages, deadlines, compression and status.

Source: grpc/doc/PROTOCOL-HTTP2.md, compression.md and statuscodes.md.
"""

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple

import hpack

from serving.gateway.backends.tf_serving.grpc_protocol import PREFIX, prefixed, to_header
from serving.gateway.backends.tf_serving.http2.server import Stream
from serving.model_server.errors import ServingError, deadline_exceeded, internal, resource_exhausted, unimplemented

logger = logging.getLogger(__name__)

Unary = Callable[[bytes], Awaitable[bytes]]
Streaming = Callable[[bytes], AsyncIterator[bytes]]

LARGEST_MESSAGE = 2**31 - 1

_CONTENT_TYPE = "application/grpc"
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_ENCODINGS = "identity,deflate,gzip"

_encoder = hpack.Encoder()


def _block(**headers: object) -> bytes:
    """Headers as HPACK, never indexed: so that every connection can have the same bytes."""
    return _encoder.encode([(name.replace("_", "-"), str(value), True) for name, value in headers.items()])


_HEADERS = _encoder.encode([(":status", "200", True)]) + _block(content_type=_CONTENT_TYPE)
_OK = _block(grpc_status=0)


class _Head(NamedTuple):
    method: str
    path: str
    content_type: str
    timeout: float | None  # seconds
    encoding: str


class _Call:
    """What is under way for a stream."""

    __slots__ = ("deadline", "expected", "started", "task")

    def __init__(self) -> None:
        self.deadline: asyncio.TimerHandle | None = None
        self.expected: int | None = None  # bytes of the message, once its prefix has come
        self.task: asyncio.Task[None] | None = None
        self.started = False  # its headers are sent


class Calls:
    """The application of HTTP/2 connections that answers calls by the methods it is given."""

    def __init__(
        self,
        unary: Mapping[str, Unary],
        streaming: Mapping[str, Streaming],
        *,
        largest_request: int = LARGEST_MESSAGE,
        largest_response: int = LARGEST_MESSAGE,
    ) -> None:
        """Methods by path; they raise ServingError. Lengths are of messages, in bytes."""
        self._unary = unary
        self._streaming = streaming
        self._largest_request = largest_request
        self._largest_response = largest_response

    def head(self, headers: list[tuple[str, str]]) -> _Head:
        found = dict(headers)
        timeout = _TIMEOUT.fullmatch(found.get("grpc-timeout", ""))
        return _Head(
            method=found.get(":method", ""),
            path=found.get(":path", ""),
            content_type=found.get("content-type", ""),
            timeout=int(timeout[1]) * _UNITS[timeout[2]] if timeout else None,
            encoding=found.get("grpc-encoding", "identity"),
        )

    def opened(self, stream: Stream) -> None:
        head: _Head = stream.head
        call = stream.state = _Call()
        if head.method != "POST":
            stream.end(_encoder.encode([(":status", "405", True)]))
        elif not head.content_type.startswith(_CONTENT_TYPE):
            stream.end(_encoder.encode([(":status", "415", True)]))
        elif head.path not in self._unary and head.path not in self._streaming:
            _refuse(stream, unimplemented("Method not found!"))
        elif head.timeout is not None:
            call.deadline = asyncio.get_running_loop().call_later(head.timeout, self._expire, stream)

    def received(self, stream: Stream) -> None:
        call: _Call = stream.state
        if stream.size < PREFIX:
            return
        try:
            if call.expected is None:
                stream.parts = [stream.body]
                call.expected = self._check_length(stream.parts[0])
            if stream.size - PREFIX > call.expected:
                raise internal(f"the message has more bytes than the {call.expected} of its prefix")
        except ServingError as error:
            _refuse(stream, error)

    def complete(self, stream: Stream) -> None:
        stream.state.task = asyncio.get_running_loop().create_task(self._answer(stream))

    def closed(self, stream: Stream) -> None:
        call: _Call = stream.state
        if call.deadline:
            call.deadline.cancel()
        if call.task:
            call.task.cancel()

    def _expire(self, stream: Stream) -> None:
        _refuse(stream, deadline_exceeded("Deadline Exceeded"))

    async def _answer(self, stream: Stream) -> None:
        call: _Call = stream.state
        path = stream.head.path
        try:
            request = self._message(stream)
            method = self._unary.get(path)
            if method:
                self._send(stream, await method(request))
            else:
                async for response in self._streaming[path](request):
                    self._send(stream, response)
        except ServingError as error:
            call.task = None  # it has done its work, and is not to be cancelled with the stream
            _refuse(stream, error)
        except Exception:
            logger.exception("a call of %s failed", path)
            call.task = None
            _refuse(stream, internal("the model server failed; its log says how"))
        else:
            call.task = None
            stream.end(_OK)

    def _check_length(self, body: bytes) -> int:
        length = int.from_bytes(body[1:PREFIX], "big")
        if length > self._largest_request:
            raise resource_exhausted(f"SERVER: Received message larger than max ({length} vs. {self._largest_request})")
        return length

    def _message(self, stream: Stream) -> bytes:
        body, stream.parts = stream.body, []
        if len(body) < PREFIX:
            raise internal(f"a call has one message, and a prefix of {PREFIX} bytes before it; this one has none")
        length = self._check_length(body)
        if len(body) != PREFIX + length:
            raise internal(f"the message has {len(body) - PREFIX} bytes, but {length} by its prefix")
        return self._decompress(body[PREFIX:], stream.head.encoding) if body[0] else body[PREFIX:]

    def _decompress(self, data: bytes, encoding: str) -> bytes:
        if encoding not in ("deflate", "gzip"):
            raise unimplemented(f"messages in grpc-encoding {encoding!r}; {_ENCODINGS} are read")
        decompressor = zlib.decompressobj(wbits=47)  # either of the two, as its first bytes say
        try:
            message = decompressor.decompress(data, self._largest_request)
        except zlib.error as error:
            raise internal(f"the message is not in grpc-encoding {encoding!r}: {error}") from None
        if decompressor.unconsumed_tail:
            raise resource_exhausted(f"SERVER: Decompressed message larger than max {self._largest_request}")
        if not decompressor.eof:
            raise internal(f"the message in grpc-encoding {encoding!r} breaks off")
        return message

    def _send(self, stream: Stream, response: bytes) -> None:
        if len(response) > self._largest_response:
            raise resource_exhausted(f"Sent message larger than max ({len(response)} vs. {self._largest_response})")
        call: _Call = stream.state
        if not call.started:
            call.started = True
            stream.send_headers(_HEADERS)
        stream.send(prefixed(response))


def _refuse(stream: Stream, error: ServingError) -> None:
    status = _block(grpc_status=int(error.code), grpc_message=to_header(error.message), grpc_accept_encoding=_ENCODINGS)
    stream.end(status if stream.state.started else _HEADERS + status)
