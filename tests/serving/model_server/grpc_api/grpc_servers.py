"""A gRPC server with test methods, on a real socket."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import grpc
import uvloop

from serving.model_server.errors import not_found
from serving.model_server.grpc_api.server import GrpcServer, parse_arguments

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Running:
    """A server with test methods, in an event loop in its own thread."""

    def __init__(self, arguments: str = "") -> None:
        self.loop = uvloop.new_event_loop()
        self.entered = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.release = self.run(self._event())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.server = self.run(self._open(arguments))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def _open(self, arguments: str) -> GrpcServer:
        unary = {"/t/echo": self.echo, "/t/wait": self.wait, "/t/fail": self.fail, "/t/break": self.break_}
        server = GrpcServer(unary, {"/t/count": self.count}, parse_arguments(arguments))
        server.listen("127.0.0.1", self.port)
        await server.start()
        return server

    async def echo(self, request: bytes) -> bytes:
        return request

    async def wait(self, request: bytes) -> bytes:
        self.entered.release()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    async def fail(self, request: bytes) -> bytes:
        raise not_found(f"no {request.decode()}: 100 % sure\n")

    async def break_(self, request: bytes) -> bytes:
        raise ZeroDivisionError

    async def count(self, request: bytes) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number
        if request == b"3":
            raise not_found("a fourth")

    def go_on(self) -> None:
        self.loop.call_soon_threadsafe(self.release.set)

    def stop(self, grace: float) -> None:
        self.run(self.server.stop(grace))

    def wait_until_refused(self) -> None:
        """Until nobody listens at the port any more; pytest's time-out bounds it."""
        with contextlib.suppress(ConnectionError):  # refused, or reset in the queue of a port that closes
            while True:
                socket.create_connection(("127.0.0.1", self.port), timeout=20).close()

    def close(self) -> None:
        self.stop(0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        assert not self.errors


@contextlib.contextmanager
def running(arguments: str = "") -> Iterator[Running]:
    server = Running(arguments)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def channel(server: Running, **more: Any) -> Iterator[grpc.Channel]:
    own = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", own, **more) as opened:
        yield opened
