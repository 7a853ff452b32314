"""Unary gRPC calls to the model server, in turn to each of its addresses.

A name stands for all the addresses that it has, and is looked up again every half minute, or soon after one of them
stops answering. To each address one connection is kept, and made anew where it ends: a call waits for one that is being
made, but fails at once where the last attempt at every address did. What the server refuses unseen, since it is about
to close a connection, goes out again on the next.

Source: grpc/doc/PROTOCOL-HTTP2.md, http-grpc-status-mapping.md and connection-backoff.md.
"""

import asyncio
import logging
import math
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import hpack

from serving import grpc_status
from serving.grpc_status import Code
from serving.http2.client import Answer, Connection, Stream, StreamFailed

Metadata = Sequence[tuple[str, str]]

log = logging.getLogger("vitrine.upstream")

_CONNECT_WAIT = 1.0  # seconds for a connection to be made, TLS included
_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.2, 1.0, 1.6  # seconds between attempts; more would outlast a restart by far
_LOOK_UP, _LOOK_UP_SOON = 30.0, 1.0  # seconds between look-ups
_MOST_REFUSALS = 5
_PREFIX = 5  # bytes before a message: whether it is compressed, and its length
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

_encoder = hpack.Encoder()


class RpcError(Exception):
    """A call ended with another status than OK."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class Address(NamedTuple):
    """Where a model server listens: a host and a port, or (with port 0) the path of a Unix socket."""

    host: str
    port: int


class Channel:
    """Calls to the addresses. Needs a running event loop."""

    def __init__(self, addresses: Sequence[Address], secret: ssl.SSLContext | None = None) -> None:
        """With a ``secret`` TLS is spoken."""
        self._addresses = addresses
        host, port = addresses[0]
        self._authority = f"{host}:{port}" if port else "localhost"
        self._secret = secret
        self._members: dict[tuple[str, str, int], _Member] = {}
        self._turn = 0
        self._unknown = ""  # why the look-up failed
        self._news = asyncio.Event()  # set for a moment whenever a member changes
        self._failed = asyncio.Event()
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def call(self, path: str, request: bytes, deadline: float, metadata: Metadata | None = None) -> bytes:
        """The message that answers a request's. ``deadline`` is a time of the event loop.

        Raises:
            RpcError: the call failed.
        """
        loop = asyncio.get_running_loop()
        scheme = "http" if self._secret is None else "https"
        head = _head(scheme, self._authority, path, _timeout(deadline - loop.time()))
        if metadata:
            head += _encoder.encode([(name, value, True) for name, value in metadata])
        body = b"\0" + len(request).to_bytes(4, "big") + request
        why = ""
        for _ in range(_MOST_REFUSALS):
            connection = self._next() or await self._wait(deadline)
            stream = connection.request(head, body)
            timer = loop.call_at(deadline, _expire, connection, stream)
            try:
                return _message(await stream.answer)
            except StreamFailed as error:
                why = str(error)
                if not error.refused:
                    break
            except asyncio.CancelledError:
                connection.cancel(stream)
                raise
            finally:
                timer.cancel()
        raise RpcError(Code.UNAVAILABLE, why)

    async def close(self) -> None:
        """Ends the connections; calls under way end first."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await asyncio.gather(*(member.close() for member in self._members.values()))

    def _next(self) -> Connection | None:
        """The connection whose turn it is, of those that can take a request."""
        members = list(self._members.values()) if len(self._members) > 1 else self._members.values()
        usable = [each.connection for each in members if each.connection is not None and each.connection.has_room]
        if not usable:
            return None
        self._turn += 1
        return usable[self._turn % len(usable)]

    async def _wait(self, deadline: float) -> Connection:
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    self._check_hope()
                    await self._news.wait()
                    connection = self._next()
                    if connection is not None:
                        return connection
        except TimeoutError:
            raise RpcError(Code.DEADLINE_EXCEEDED, "no connection was ready before the deadline") from None

    def _check_hope(self) -> None:
        reasons = [member.problem for member in self._members.values()]
        if all(reasons) and (reasons or self._unknown):
            raise RpcError(Code.UNAVAILABLE, "; ".join(reasons) or self._unknown)

    def _changed(self) -> None:
        self._news.set()
        self._news.clear()

    async def _follow(self) -> None:
        while True:
            try:
                self._adopt(await self._look_up())
                self._unknown = ""
            except (OSError, UnicodeError) as error:
                if not self._unknown:
                    log.warning("the model server's name cannot be looked up: %s", error)
                self._unknown = str(error)
            self._changed()
            await asyncio.sleep(_LOOK_UP_SOON)
            if not self._unknown:
                self._failed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_UP - _LOOK_UP_SOON):
                        await self._failed.wait()

    async def _look_up(self) -> list[tuple[str, str, int]]:
        """Name, IP address (or path) and port of each."""
        found = []
        for host, port in self._addresses:
            if not port:
                found.append((host, host, 0))
                continue
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found += [(host, str(info[4][0]), port) for info in infos]
        return found

    def _adopt(self, found: Sequence[tuple[str, str, int]]) -> None:
        for key in [key for key in self._members if key not in found]:
            self._members.pop(key).leave()
        for key in found:
            if key not in self._members:
                self._members[key] = _Member(f"{key[1]}:{key[2]}" if key[2] else key[1], self._connect(key), self._told)

    def _told(self, failed: bool) -> None:
        if failed:
            self._failed.set()
        self._changed()

    def _connect(self, key: tuple[str, str, int]) -> Callable[[], Awaitable[Connection]]:
        host, address, port = key

        async def connect() -> Connection:
            loop = asyncio.get_running_loop()
            made = partial(Connection, self._changed)
            if port:
                name = host if self._secret is not None else None
                _, connection = await loop.create_connection(
                    made, address, port, ssl=self._secret, server_hostname=name
                )
            else:
                name = "localhost" if self._secret is not None else None
                _, connection = await loop.create_unix_connection(made, address, ssl=self._secret, server_hostname=name)
            try:
                await connection.ready
            except BaseException:
                connection.abort()
                raise
            return connection

        return connect


class _Member:
    """One address, and the connection to it while there is one. ``problem`` is why the last attempt failed."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[Connection]], told: Callable[[bool], None]) -> None:
        """``told`` hears of each change, and whether it was a failure."""
        self.connection: Connection | None = None
        self.problem = ""
        self._name = name
        self._connect = connect
        self._told = told
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _PAUSE
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(_CONNECT_WAIT):
                    connection = await self._connect()
            except OSError as error:  # TimeoutError and those of TLS too
                problem = str(error) or f"no connection within {_CONNECT_WAIT:g} s"
                if problem != self.problem:
                    log.info("no connection to the model server at %s: %s", self._name, problem)
                self.problem = problem
                self._told(True)
            else:
                self.connection, self.problem = connection, ""
                self._told(False)
                await connection.leaving
                self.connection = None
                self._told(True)
                if loop.time() - began > _LONGEST_PAUSE:
                    pause = _PAUSE
                    continue
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def leave(self) -> None:
        """Makes no more connections; calls that are under way go on."""
        if self.connection is not None:
            self.connection.leave()
        self._task.cancel()

    async def close(self) -> None:
        self.leave()
        await asyncio.gather(self._task, return_exceptions=True)


def tls(ca: Path, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """What checks the model server by ``ca`` and shows it ``cert``, if any. All files are PEM.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) does not hold what it should.
    """
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


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
        raise RpcError(grpc_status.code(number or ""), grpc_status.from_header(details))
    body = answer.body
    if len(body) < _PREFIX or body[0] or len(body) != _PREFIX + int.from_bytes(body[1:_PREFIX], "big"):
        raise RpcError(Code.INTERNAL, f"the answer's {len(body)} bytes are not one message as it is")
    return body[_PREFIX:]
