"""A model server at one place, and the connection to it, which is made anew where it ends.

Source: grpc/doc/connection-backoff.md.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving.gateway.backends.tf_serving.http2.client import Connection

log = logging.getLogger("vitrine.upstream")

_CONNECT_WAIT = 1.0  # seconds for a connection to be made, TLS included
_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.2, 1.0, 1.6  # seconds between attempts; more would outlast a restart by far


class Address(NamedTuple):
    """Where a model server listens: a host and a port, or (with port 0) the path of a Unix socket."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SocketAddress(NamedTuple):
    """One of those that an address stands for."""

    address: Address
    host: str


class Replica:
    """One place, and the connection to it while there is one. ``problem`` is why the last attempt failed."""

    def __init__(
        self,
        place: SocketAddress,
        ssl_context: ssl.SSLContext | None,
        largest_answer: int,
        told: Callable[[bool], None],
    ) -> None:
        """``largest_answer`` is the most bytes of an answer's body.

        ``told`` hears of each change, and whether things are worse than before.
        """
        self.connection: Connection | None = None
        self.problem = ""
        self.authority = str(place.address) if place.address.port else "localhost"
        self._name = str(Address(place.host, place.address.port))
        self._place = place
        self._ssl_context = ssl_context
        self._largest_answer = largest_answer
        self._changed = partial(told, False)
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
                self._fail(str(error) or f"no connection within {_CONNECT_WAIT:g} s")
            except Exception as error:
                if not self.problem:
                    log.exception("a connection to the model server at %s could not be made", self._name)
                self._fail(repr(error))
            else:
                self.connection, self.problem = connection, ""
                self._changed()
                await asyncio.shield(connection.leaving)
                self.connection = None
                self._told(True)
                if loop.time() - began > _LONGEST_PAUSE:
                    pause = _PAUSE
                    continue
                if connection.lost_by:
                    self._fail(connection.lost_by)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        made = partial(Connection, self._changed, self._largest_answer)
        name, port = self._place.address
        ssl_context = self._ssl_context
        if port:
            host = name if ssl_context else None
            _, connection = await loop.create_connection(
                made, self._place.host, port, ssl=ssl_context, server_hostname=host
            )
        else:
            host = "localhost" if ssl_context else None
            _, connection = await loop.create_unix_connection(made, name, ssl=ssl_context, server_hostname=host)
        try:
            await connection.ready
        except BaseException:
            connection.abort()
            raise
        return connection

    def _fail(self, problem: str) -> None:
        if problem != self.problem:
            log.info("no connection to the model server at %s: %s", self._name, problem)
        worse, self.problem = not self.problem, problem
        self._told(worse)

    def leave(self) -> None:
        """Makes no more connections; calls that are under way go on."""
        if self.connection is not None:
            self.connection.leave()
        self._task.cancel()

    def end(self) -> asyncio.Task[None]:
        """Gives up the calls under way too; done when the task is."""
        connection = self.connection
        self.leave()
        if connection is not None:
            connection.abort()
        return self._task


def tls(ca: Path, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """What checks the model server by ``ca`` and shows it ``cert``, if any. All files are PEM.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) does not hold what it should.
    """
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority below the root may be trusted by itself
    context.set_alpn_protocols(["h2"])
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context
