"""The gRPC server: its ports, its connections and how it ends."""

import asyncio
import logging
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.gateway.backends.tf_serving.http2.server import Connection, Limits
from serving.model_server import sockets
from serving.model_server.errors import unknown
from serving.model_server.grpc_api.calls import LARGEST_MESSAGE, Calls, Streaming, Unary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arguments:
    """The channel arguments that have an effect, by their names after ``grpc.``.

    TensorFlow Serving has no default limits for received messages, streams and idle connections; this server has.
    -1 is no limit.
    """

    max_concurrent_streams: int = 1000
    max_connection_idle_ms: int = 300_000
    max_connection_age_ms: int = -1
    max_connection_age_grace_ms: int = -1
    max_receive_message_length: int = 2**28
    max_send_message_length: int = -1

    @classmethod
    def parse(cls, text: str) -> "Arguments":
        """``grpc.name=value,…``; what is not known, or no number, is warned of and has no effect."""
        found: dict[str, int] = {}
        for argument in filter(None, text.split(",")):
            name, _, value = argument.partition("=")
            name = name.strip().removeprefix("grpc.")
            if name in cls.__dataclass_fields__ and re.fullmatch(r"\s*(-1|\d+)\s*", value):
                found[name] = int(value)
            else:
                logger.warning("--grpc_channel_arguments: %s has no effect in the embedded model server", argument)
        return cls(**found)

    @property
    def limits(self) -> Limits:
        return Limits(
            most_streams=None if self.max_concurrent_streams < 0 else self.max_concurrent_streams,
            idle=_seconds(self.max_connection_idle_ms),
            age=_seconds(self.max_connection_age_ms),
            grace=_seconds(self.max_connection_age_grace_ms),
        )


def _seconds(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _length(limit: int) -> int:
    return LARGEST_MESSAGE if limit < 0 else min(limit, LARGEST_MESSAGE)


class GrpcServer:
    """Answers calls on any number of addresses until :meth:`stop`."""

    def __init__(
        self,
        unary: Mapping[str, Unary],
        streaming: Mapping[str, Streaming],
        arguments: Arguments,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Methods by path; with a ``ssl_context`` only TLS is spoken."""
        self._calls = Calls(
            unary,
            streaming,
            largest_request=_length(arguments.max_receive_message_length),
            largest_response=_length(arguments.max_send_message_length),
        )
        self._limits = arguments.limits
        self._ssl_context = ssl_context
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []

    async def listen(self, host: str, port: int) -> None:
        """A ``host`` of 0.0.0.0 is every address, of IPv6 as well.

        Raises:
            UNKNOWN: the port cannot be had.
        """
        try:
            socket = sockets.listen(host, port)
        except (OSError, OverflowError) as error:
            raise unknown(f"cannot listen on {host}:{port}: {error}") from None
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_server(self._connection, sock=socket, backlog=sockets.BACKLOG, ssl=self._ssl_context)
        )

    async def listen_at(self, path: Path) -> None:
        """A Unix socket; one that a server before left there is replaced.

        Raises:
            UNKNOWN: there can be none at this path.
        """
        loop = asyncio.get_running_loop()
        try:
            self._servers.append(
                await loop.create_unix_server(self._connection, os.fspath(path), ssl=self._ssl_context)
            )
        except OSError as error:
            raise unknown(f"cannot listen on unix:{path}: {error}") from None
        self._paths.append(path)

    def _connection(self) -> Connection:
        return Connection(self._calls, self._connections, self._limits)

    async def stop(self, grace: float) -> None:
        """Take no more calls, let those under way end for ``grace`` seconds, then cut them off."""
        for server in self._servers:
            server.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            await asyncio.wait([each.ended for each in self._connections], timeout=grace)
        for connection in list(self._connections):
            connection.abort()
