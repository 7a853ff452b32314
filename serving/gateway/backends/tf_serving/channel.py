"""Unary gRPC calls to the model server, in turn to each of its addresses.

A name stands for all the addresses that it has, and is looked up again every half minute, and more often for a while
after one of them stops answering. To each address one connection is kept (``replica.py``): a call waits for one that is
being made, but fails at once where the last attempt at every address did. What the server refuses unseen, since it is
about to close a connection, goes out again on the next.

Source: grpc/doc/PROTOCOL-HTTP2.md and http-grpc-status-mapping.md.
"""

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

import hpack

from serving.gateway.backends.tf_serving import grpc_protocol
from serving.gateway.backends.tf_serving.grpc_protocol import PREFIX, prefixed
from serving.gateway.backends.tf_serving.http2 import frames
from serving.gateway.backends.tf_serving.http2.client import Answer, AnswerTooLarge, Connection, Stream, StreamFailed
from serving.gateway.backends.tf_serving.replica import Address, Replica, SocketAddress
from serving.tfs_api.status_codes import Code

Metadata = Sequence[tuple[str, str]]

log = logging.getLogger("vitrine.upstream")

_LOOK_UP_SOON, _LOOK_UP = 1.0, 30.0  # seconds between look-ups, doubled from the one to the other
_MOST_REFUSALS = 5
_LAG = 0.02  # seconds after its deadline that a call is given up, so that whoever set it speaks first
_OF_HTTP = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}

_OF_RESET = {
    frames.REFUSED_STREAM: Code.UNAVAILABLE,
    frames.CANCEL: Code.CANCELLED,
    frames.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    frames.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}

_encoder = hpack.Encoder()


class RpcError(Exception):
    """A call ended with another status than OK."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class MessageTooLarge(RpcError):
    """The answer's message is larger than the channel allows."""


class Channel:
    """Calls to the addresses. Needs a running event loop."""

    def __init__(
        self, addresses: Sequence[Address], ssl_context: ssl.SSLContext | None = None, *, largest_message: int
    ) -> None:
        """With a ``ssl_context`` TLS is spoken.

        ``largest_message`` is the most bytes of an answer.
        """
        self._addresses = addresses
        self._largest_message = largest_message
        self._ssl_context = ssl_context
        self._scheme = "http" if ssl_context is None else "https"
        self._replicas: dict[SocketAddress, Replica] = {}
        self._turn = 0
        self._unknown: dict[Address, str] = {}  # why a look-up failed
        self._closed = False
        self._news = asyncio.Event()  # set for a moment whenever a replica changes
        self._failed = asyncio.Event()
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def call(self, path: str, request: bytes, deadline: float, metadata: Metadata | None = None) -> bytes:
        """The message that answers a request's. ``deadline`` is a time of the event loop.

        Raises:
            RpcError: the call failed; :class:`MessageTooLarge` where its answer is too large.
        """
        loop = asyncio.get_running_loop()
        timeout = _timeout(deadline - loop.time())
        more = _encoder.encode([(name, value, True) for name, value in metadata]) if metadata else b""
        body = prefixed(request)
        error: StreamFailed | None = None
        for _ in range(_MOST_REFUSALS):
            replica, connection = self._next() or await self._wait(deadline)
            stream = connection.request(_head(self._scheme, replica.authority, path, timeout) + more, body)
            timer = loop.call_at(deadline + _LAG, _expire, connection, stream)
            try:
                return _message(await stream.answer)
            except StreamFailed as failed:
                error = failed
                if not failed.refused:
                    break
            except asyncio.CancelledError:
                connection.cancel(stream)
                raise
            finally:
                timer.cancel()
        assert error is not None
        if isinstance(error, AnswerTooLarge):
            details = f"the answer is larger than {self._largest_message} bytes"
            raise MessageTooLarge(Code.RESOURCE_EXHAUSTED, details) from None
        code = Code.UNAVAILABLE if error.code is None else _OF_RESET.get(error.code, Code.INTERNAL)
        raise RpcError(code, str(error)) from None

    async def close(self) -> None:
        """Ends the connections; calls under way end with UNAVAILABLE, and so do later ones."""
        self._closed = True
        tasks = [self._following, *(replica.end() for replica in self._replicas.values())]
        self._following.cancel()
        self._changed()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _next(self) -> "tuple[Replica, Connection] | None":
        """The connection whose turn it is, of those that can take a request."""
        replicas = self._replicas.values()
        usable = [(each, each.connection) for each in replicas if each.connection and each.connection.has_room]
        if not usable:
            return None
        self._turn += 1
        return usable[self._turn % len(usable)]

    async def _wait(self, deadline: float) -> "tuple[Replica, Connection]":
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    self._check_hope()
                    await self._news.wait()
                    found = self._next()
                    if found is not None:
                        return found
        except TimeoutError:
            raise RpcError(Code.DEADLINE_EXCEEDED, "no connection was ready before the deadline") from None

    def _check_hope(self) -> None:
        if self._closed:
            raise RpcError(Code.UNAVAILABLE, "the channel is closed")
        reasons = [replica.problem for replica in self._replicas.values()]
        if all(reasons) and (reasons or self._unknown):
            raise RpcError(Code.UNAVAILABLE, "; ".join([*reasons, *self._unknown.values()]))

    async def _follow(self) -> None:
        pause = _LOOK_UP_SOON
        while True:
            self._failed.clear()
            found = await asyncio.gather(*map(self._look_up, self._addresses))
            self._adopt([place for places in found for place in places])
            self._changed()
            await asyncio.sleep(_LOOK_UP_SOON)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause - _LOOK_UP_SOON):
                    await self._failed.wait()
            pause = _LOOK_UP_SOON if self._unknown or self._failed.is_set() else min(2 * pause, _LOOK_UP)

    async def _look_up(self, address: Address) -> list[SocketAddress]:
        """All that the address stands for; where that cannot be learnt, what it stood for."""
        host, port = address
        if not port:
            return [SocketAddress(address, host)]
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if address not in self._unknown:
                log.warning("the model server's name %s cannot be looked up: %s", host, error)
            self._unknown[address] = f"{host}: {error}"
            return [place for place in self._replicas if place.address == address]
        self._unknown.pop(address, None)
        return [SocketAddress(address, str(info[4][0])) for info in infos]

    def _adopt(self, found: Sequence[SocketAddress]) -> None:
        for place in [place for place in self._replicas if place not in found]:
            self._replicas.pop(place).leave()
        for place in found:
            if place not in self._replicas:
                largest = PREFIX + self._largest_message
                self._replicas[place] = Replica(place, self._ssl_context, largest, self._told)

    def _told(self, failed: bool) -> None:
        if failed:
            self._failed.set()
        self._changed()

    def _changed(self) -> None:
        self._news.set()
        self._news.clear()


@lru_cache(maxsize=512)
def _head(scheme: str, authority: str, path: str, timeout: str) -> bytes:
    """A call's headers as HPACK, never indexed: so that every connection can have the same bytes."""
    headers = {
        ":method": "POST",
        ":scheme": scheme,
        ":path": path,
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "vitrine-gateway",
        "grpc-timeout": timeout,
    }
    return _encoder.encode([(name, value, True) for name, value in headers.items()])


def _timeout(seconds: float) -> str:
    """A ``grpc-timeout``, rounded up to two figures: calls with the same bytes are read faster."""
    milliseconds = max(1, math.ceil(seconds * 1000))
    step: int = 10 ** max(0, len(str(milliseconds)) - 2)
    rounded = -(-milliseconds // step) * step
    return f"{rounded}m" if rounded < 10**8 else f"{rounded // 1000}S"


def _expire(connection: Connection, stream: Stream) -> None:
    connection.cancel(stream, RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))


def _message(answer: Answer) -> bytes:
    """
    Raises:
        RpcError: the status is not OK, or the answer is none of gRPC.
    """
    http = answer.head.get(":status")
    number = answer.trailers.get("grpc-status")
    if number is None and http != "200":
        raise RpcError(_OF_HTTP.get(http or "", Code.UNKNOWN), f"HTTP status {http}")
    if number != "0":
        details = answer.trailers.get("grpc-message", "the answer has no grpc-status" if number is None else "")
        raise RpcError(Code.from_number(number or ""), grpc_protocol.from_header(details))
    body = answer.body
    if len(body) < PREFIX or body[0] or len(body) != PREFIX + int.from_bytes(body[1:PREFIX], "big"):
        raise RpcError(Code.INTERNAL, f"the answer's {len(body)} bytes are not one message as it is")
    return body[PREFIX:]
