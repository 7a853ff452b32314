"""One resolved address and the connection to it."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial

from serving.gateway.backends.tf_serving.grpc_client.backoff import Backoff
from serving.gateway.backends.tf_serving.grpc_client.connection import Connection
from serving.gateway.backends.tf_serving.grpc_client.resolver import ResolvedAddress

log = logging.getLogger("vitrine.upstream")

_CONNECT_TIMEOUT = 1.0  # seconds, TLS handshake and the server's SETTINGS included


class Subchannel:
    """Keeps one connection to an address open.

    Attributes:
        connection: the connection, while it takes requests.
        error: why the last attempt failed; empty after success.
        authority: value of the ``:authority`` header.
    """

    def __init__(
        self,
        address: ResolvedAddress,
        ssl_context: ssl.SSLContext | None,
        max_response_bytes: int,
        on_change: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        """Start connecting.

        Args:
            address: where to connect.
            ssl_context: enables TLS.
            max_response_bytes: largest response body.
            on_change: called whenever requests may become possible or impossible.
            on_failure: called instead when the connection is lost or the first attempt after a success fails.
        """
        self.connection: Connection | None = None
        self.error = ""
        self.authority = str(address.address) if address.address.port else "localhost"
        self._address = address
        self._ssl_context = ssl_context
        self._on_change = on_change
        self._on_failure = on_failure
        self._new_connection = partial(Connection, on_change, max_response_bytes)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def drain(self) -> None:
        """Stop connecting. Pending calls go on."""
        if self.connection is not None:
            self.connection.drain()
        self._task.cancel()

    def close(self) -> asyncio.Task[None]:
        """Stop connecting and fail pending calls. The task ends afterwards."""
        connection = self.connection
        self.drain()
        if connection is not None:
            connection.abort()
        return self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        while True:
            started = loop.time()
            connection = await self._try_connect()
            if connection is not None:
                self.connection, self.error = connection, ""
                self._on_change()
                await asyncio.shield(connection.draining)
                self.connection = None
                self._on_failure()
                if loop.time() - started > backoff.max_delay:
                    backoff.reset()
                    continue
                if connection.failure:
                    self._set_error(connection.failure)
            await asyncio.sleep(backoff.next())

    async def _try_connect(self) -> Connection | None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                return await self._connect()
        except OSError as error:  # includes TimeoutError and ssl.SSLError
            self._set_error(str(error) or f"no connection within {_CONNECT_TIMEOUT:g} s")
        except Exception as error:
            if not self.error:
                log.exception("unexpected error while connecting to the model server at %s", self._address)
            self._set_error(repr(error))
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        (name, port), ip = self._address
        tls = self._ssl_context
        if port:
            _, connection = await loop.create_connection(
                self._new_connection, ip, port, ssl=tls, server_hostname=name if tls else None
            )
        else:
            _, connection = await loop.create_unix_connection(
                self._new_connection, name, ssl=tls, server_hostname="localhost" if tls else None
            )
        try:
            await connection.ready
        except BaseException:
            connection.abort()
            raise
        return connection

    def _set_error(self, error: str) -> None:
        if error != self.error:
            log.info("no connection to the model server at %s: %s", self._address, error)
        is_first, self.error = not self.error, error
        if is_first:
            self._on_failure()
        else:
            self._on_change()
