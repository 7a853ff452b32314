"""Unary gRPC calls to a model server, round robin over all its addresses.

Each address has one connection. A call waits for a connection that is being made, and fails at once if the last
attempt at every address failed. A call that the server refuses without processing it goes to the next connection.

Source: grpc/doc/PROTOCOL-HTTP2.md.
"""

import asyncio
import ssl
from collections.abc import Sequence

from serving.gateway.backends.tf_serving.grpc_client import message
from serving.gateway.backends.tf_serving.grpc_client.connection import Connection
from serving.gateway.backends.tf_serving.grpc_client.headers import (
    Metadata,
    encode_metadata,
    grpc_timeout,
    request_headers,
)
from serving.gateway.backends.tf_serving.grpc_client.resolver import Address, ResolvedAddress, Resolver
from serving.gateway.backends.tf_serving.grpc_client.status import RpcError, check_status, error_of_stream
from serving.gateway.backends.tf_serving.grpc_client.stream import Stream, StreamError
from serving.gateway.backends.tf_serving.grpc_client.subchannel import Subchannel
from serving.tfs_api.status_codes import Code

_MAX_ATTEMPTS = 5  # at calls that servers refuse without processing them
_DEADLINE_MARGIN = 0.02  # seconds; the caller's own timer fires first


class Channel:
    """Calls to all addresses of a model server. Needs a running event loop."""

    def __init__(
        self, addresses: Sequence[Address], ssl_context: ssl.SSLContext | None = None, *, max_message_bytes: int
    ) -> None:
        """Start connecting.

        Args:
            addresses: hosts (all of their IP addresses are used) or Unix sockets.
            ssl_context: enables TLS.
            max_message_bytes: largest response message.
        """
        self._scheme = "http" if ssl_context is None else "https"
        self._ssl_context = ssl_context
        self._max_message_bytes = max_message_bytes
        self._subchannels: dict[ResolvedAddress, Subchannel] = {}
        self._next_index = 0
        self._closed = False
        self._changed = asyncio.Event()  # set for a moment at each change of a subchannel
        self._resolver = Resolver(addresses, self._update_subchannels)
        self._resolving = asyncio.get_running_loop().create_task(self._resolver.run())

    async def call(self, path: str, request: bytes, deadline: float, metadata: Metadata | None = None) -> bytes:
        """Send a request message and return the response message.

        Args:
            path: ``/package.Service/Method``.
            request: the encoded message.
            deadline: time of the event loop.
            metadata: additional headers.

        Raises:
            RpcError: the call failed; :class:`MessageTooLarge` if the response exceeds the limit.
        """
        loop = asyncio.get_running_loop()
        timeout = grpc_timeout(deadline - loop.time())
        more = encode_metadata(metadata) if metadata else b""
        body = message.encode(request)
        attempts = 0
        while True:
            attempts += 1
            subchannel, connection = self._pick() or await self._wait(deadline)
            headers = request_headers(self._scheme, subchannel.authority, path, timeout)
            stream = connection.request(headers + more, body)
            timer = loop.call_at(deadline + _DEADLINE_MARGIN, _expire, connection, stream)
            try:
                response = await stream.response
                break
            except StreamError as error:
                if not error.refused or attempts == _MAX_ATTEMPTS:
                    raise error_of_stream(error, self._max_message_bytes) from None
            except asyncio.CancelledError:
                connection.cancel(stream)
                raise
            finally:
                timer.cancel()
        check_status(response)
        try:
            return message.decode(response.body)
        except ValueError as error:
            raise RpcError(Code.INTERNAL, str(error)) from None

    async def close(self) -> None:
        """Close all connections. Pending and later calls fail with UNAVAILABLE."""
        self._closed = True
        self._resolving.cancel()
        tasks = [self._resolving, *(subchannel.close() for subchannel in self._subchannels.values())]
        self._notify()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pick(self) -> tuple[Subchannel, Connection] | None:
        """Return the next connection with capacity, round robin."""
        subchannels = self._subchannels.values()
        usable = [(each, each.connection) for each in subchannels if each.connection and each.connection.has_capacity]
        if not usable:
            return None
        self._next_index += 1
        return usable[self._next_index % len(usable)]

    async def _wait(self, deadline: float) -> tuple[Subchannel, Connection]:
        """Wait for a connection with capacity.

        Raises:
            RpcError: no address can be reached, or the deadline has passed.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    self._raise_if_unreachable()
                    await self._changed.wait()
                    picked = self._pick()
                    if picked is not None:
                        return picked
        except TimeoutError:
            raise RpcError(Code.DEADLINE_EXCEEDED, "no connection was ready before the deadline") from None

    def _raise_if_unreachable(self) -> None:
        if self._closed:
            raise RpcError(Code.UNAVAILABLE, "the channel is closed")
        errors = [subchannel.error for subchannel in self._subchannels.values()]
        if all(errors) and (errors or self._resolver.errors):
            raise RpcError(Code.UNAVAILABLE, "; ".join([*errors, *self._resolver.errors.values()]))

    def _update_subchannels(self, resolved: Sequence[ResolvedAddress]) -> None:
        for address in [address for address in self._subchannels if address not in resolved]:
            self._subchannels.pop(address).drain()
        for address in resolved:
            if address not in self._subchannels:
                max_bytes = message.PREFIX_SIZE + self._max_message_bytes
                self._subchannels[address] = Subchannel(
                    address, self._ssl_context, max_bytes, self._notify, self._on_failure
                )
        self._notify()

    def _on_failure(self) -> None:
        self._resolver.refresh()
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed.clear()


def _expire(connection: Connection, stream: Stream) -> None:
    connection.cancel(stream, RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))
