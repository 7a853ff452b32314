"""The gRPC server: grpcio's asyncio server with handlers that take and return bytes."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from serving.model_server.errors import ServingError, internal, invalid_argument, unknown

logger = logging.getLogger(__name__)

UnaryMethod = Callable[[bytes], Awaitable[bytes]]
StreamMethod = Callable[[bytes], AsyncIterator[bytes]]
ChannelArguments = list[tuple[str, int | str]]

#: Limits that TensorFlow Serving lacks; ``--grpc_channel_arguments`` overrides them, and -1 removes them.
DEFAULT_ARGUMENTS: Mapping[str, int | str] = {
    "grpc.max_concurrent_streams": 1000,
    "grpc.max_connection_idle_ms": 300_000,
    "grpc.max_receive_message_length": 2**28,
    "grpc.max_send_message_length": -1,
}
_UNLIMITED_BY_NUMBER = ("grpc.max_receive_message_length", "grpc.max_send_message_length")  # -1 elsewhere: leave out


def parse_arguments(text: str) -> ChannelArguments:
    """Parse ``grpc.name=value,…`` and add the defaults. A value is a number or text, as in TensorFlow Serving.

    Raises:
        ServingError: INVALID_ARGUMENT for a number outside 32 bits.
    """
    arguments = dict(DEFAULT_ARGUMENTS)
    for argument in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in argument.partition("="))
        if not equals:
            logger.warning("--grpc_channel_arguments: %r is ignored; expected name=value", argument)
            continue
        arguments[name] = number = int(value) if value.removeprefix("-").isdecimal() else value
        if isinstance(number, int) and not -(2**31) <= number < 2**31:
            raise invalid_argument(f"--grpc_channel_arguments: {name} must be a 32-bit number, not {value}")
    return [(name, value) for name, value in arguments.items() if value != -1 or name in _UNLIMITED_BY_NUMBER]


class GrpcServer:
    """Handles calls on any number of addresses from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        unary: Mapping[str, UnaryMethod],
        streaming: Mapping[str, StreamMethod],
        arguments: ChannelArguments,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        """Create a server for methods by path; with credentials it accepts TLS only."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *arguments])
        self._server.add_generic_rpc_handlers([_Handlers(unary, streaming)])
        self._credentials = credentials
        self._paths: list[Path] = []

    def listen(self, host: str, port: int) -> None:
        """Bind a port. The host 0.0.0.0 means all addresses, including those of IPv6.

        Raises:
            ServingError: UNKNOWN if the port is not available.
        """
        self._bind(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def listen_at(self, path: Path) -> None:
        """Bind a Unix socket, and replace a socket that an earlier server left behind.

        Raises:
            ServingError: UNKNOWN if the path cannot hold a socket.
        """
        self._bind(f"unix:{path}")
        self._paths.append(path)

    async def start(self) -> None:
        """Accept calls."""
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more calls, let those in flight finish for some seconds, then cancel them."""
        await self._server.stop(grace_seconds)
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _bind(self, address: str) -> None:
        try:
            if self._credentials is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise unknown(f"cannot listen on {address}: {error}") from None


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the handler of a method by its path."""

    def __init__(self, unary: Mapping[str, UnaryMethod], streaming: Mapping[str, StreamMethod]) -> None:
        self._handlers = {
            **{path: grpc.unary_unary_rpc_method_handler(_unary_handler(path, call)) for path, call in unary.items()},
            **{
                path: grpc.unary_stream_rpc_method_handler(_stream_handler(path, call))
                for path, call in streaming.items()
            },
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _unary_handler(path: str, method: UnaryMethod) -> Any:
    async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            return await method(request)
        except Exception as error:
            failure = _status(path, error)
        await context.abort(grpc.StatusCode[failure.code.name], failure.message)
        raise AssertionError("abort raises")

    return handle


def _stream_handler(path: str, method: StreamMethod) -> Any:
    async def handle(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        try:
            async for response in method(request):
                yield response
            return
        except Exception as error:
            failure = _status(path, error)
        await context.abort(grpc.StatusCode[failure.code.name], failure.message)

    return handle


def _status(path: str, error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    logger.error("a call of %s failed", path, exc_info=error)
    return internal("the model server failed; see its log")
