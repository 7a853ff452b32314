"""One gateway process: a uvicorn server that drains before it stops."""

import asyncio
import contextlib
import ctypes
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import orjson
import uvicorn
import uvloop

from serving.gateway.app import Gateway, create_app
from serving.gateway.http.request import Request
from serving.gateway.observability import logging as logs
from serving.gateway.platforms import authentication
from serving.gateway.settings import Settings
from serving.gateway.workers import listening
from serving.gateway.workers.supervisor_link import SupervisorLink
from serving.http_server import waiting_connections as waiting
from serving.http_server.protocol import LimitedHttpProtocol

if TYPE_CHECKING:
    from serving.gateway.oip_grpc.server import OipGrpcServer

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_LARGE_BLOCK = 1_048_576  # bytes
_KEPT_BYTES = 4_194_304  # of free memory at the end of a heap
_HANDSHAKE_SECONDS = 1.0  # time limit of TLS handshakes with clients that are accepted at shutdown
_PAUSE_SECONDS = 0.5  # without new connections, after the system could not accept one

log = logging.getLogger("vitrine.gateway")


class GatewayServer(uvicorn.Server):
    """uvicorn's server with a drain period.

    After SIGTERM, ``/readyz`` answers 503 for ``drain_seconds``, so that load balancers stop sending requests. Then
    the port closes, requests in flight are answered, and the process ends with code 0. A second signal skips the drain
    period, and so does Ctrl-C.
    """

    def __init__(self, gateway: Gateway, link: SupervisorLink | None) -> None:
        super().__init__(_config(gateway))
        self._gateway = gateway
        self._link = link
        self._listeners: list[socket.socket] = []
        self._protocol: Callable[[], LimitedHttpProtocol]
        self._grpc: OipGrpcServer | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None  # after a pause in accepting connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections in place of uvloop.

        uvloop accepts one connection in each turn of its loop. Under load a turn is long: if many clients connect at
        once, the last would wait while the first send request after request.
        """
        await super().startup(sockets)
        protocol_class: Callable[..., LimitedHttpProtocol] = self.config.http_protocol_class  # type: ignore[assignment]
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        self._protocol = functools.partial(protocol_class, config=self.config, **state)
        self._listeners = [waiting.copy(listener) for server in self.servers for listener in server.sockets]
        for server in self.servers:
            server.close()
        self.servers = []
        self._start_accepting()
        self._gateway.shedder.count_unaccepted = lambda: sum(map(waiting.count, self._listeners))
        if self._gateway.settings.oip_grpc_port:
            await self._start_grpc()
        if self._link is not None:
            await self._link.report_serving()

    async def _start_grpc(self) -> None:
        from serving.gateway.oip_grpc.server import OipGrpcServer  # an optional dependency

        gateway, tasks = self._gateway, self.server_state.tasks
        try:
            self._grpc = OipGrpcServer(
                gateway, gateway.settings, gateway.is_ready, tasks, gateway.shedder, shared=self._link is not None
            )
        except OSError as error:
            log.error("%s", error)
            await self.lifespan.shutdown()
            sys.exit(1)
        await self._grpc.start()

    def _start_accepting(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)

    def _stop_accepting(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        shedder = self._gateway.shedder if self._gateway.shedder.is_overloaded and not self.config.ssl else None
        try:
            for connection, has_request in waiting.accept(listener, shedder):
                protocol = self._protocol()
                if has_request:
                    protocol.enter()
                task = loop.create_task(self._connect(connection, protocol))
                self._connecting.add(task)
                task.add_done_callback(self._connecting.discard)
        except OSError as error:  # no file descriptor or memory is left
            log.warning("connections wait: the system cannot accept them: %s", error)
            self._stop_accepting()
            self._resuming = loop.call_later(_PAUSE_SECONDS, self._start_accepting)

    async def _connect(self, connection: socket.socket, protocol: LimitedHttpProtocol) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self.config.ssl)
        except OSError:  # the client has left, or speaks no TLS
            protocol.leave()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port and answer the requests in flight.

        The system resets connections that wait to be accepted when a listener closes, so they are accepted first.
        """
        stopping = asyncio.create_task(self._grpc.stop()) if self._grpc is not None else None
        self._gateway.shedder.count_unaccepted = lambda: 0
        self._stop_accepting()
        if self._resuming is not None:
            self._resuming.cancel()
        connecting = [
            self._connect(connection, self._protocol())
            for listener in self._listeners
            for connection in waiting.accept_last(listener)
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await asyncio.gather(*connecting, return_exceptions=True)
        await super().shutdown(sockets)
        if self._grpc is not None and stopping is not None:
            await self._grpc.close()
            await stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain period, or end it."""
        drain = self._gateway.settings.drain_seconds
        if self._gateway.draining or sig != signal.SIGTERM or not drain:
            self.should_exit, self.force_exit = True, self.should_exit
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, drain, setattr, self, "should_exit", True)
        self._gateway.draining = True


def run(settings: Settings) -> NoReturn:
    """Serve in this process until a signal comes, and end it."""
    set_up_process(settings)
    run_and_exit(serve(settings))


def run_and_exit(serving: Coroutine[Any, Any, None]) -> NoReturn:
    """Serve, and end the process at once: Python's own exit aborts it if a version still loads in its thread."""
    code = 0
    try:
        uvloop.run(serving)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def set_up_process(settings: Settings, worker: int | None = None) -> None:
    """Configure what is global to a process: memory allocator and logging."""
    _return_freed_memory()
    logs.set_up(settings.log_level, settings.log_format, worker)
    if settings.platform is not None and settings.keys is None and worker in (None, 1):
        log.info("%s", authentication(settings.platform))


async def serve(settings: Settings, link: SupervisorLink | None = None) -> None:
    """Serve until a signal comes; with a link, as one of several workers."""
    gateway = create_app(settings, link)
    sockets = None if link is None else listening.share(settings.host, settings.port)
    await GatewayServer(gateway, link).serve(sockets)


def _config(gateway: Gateway) -> uvicorn.Config:
    settings = gateway.settings
    return uvicorn.Config(
        gateway,
        host=settings.host,
        port=settings.port,
        http=functools.partial(  # type: ignore[arg-type]
            LimitedHttpProtocol,
            max_headers=settings.max_headers,
            max_header_bytes=settings.max_header_bytes,
            head_seconds=settings.head_seconds,
            send_seconds=settings.send_seconds,
            on_rejected=functools.partial(gateway.metrics.refused, ""),  # no model: the path is unknown
            on_disconnect=_disconnect,
            render_error=_render,
            is_draining=lambda: gateway.draining,
            shedder=gateway.shedder,
        ),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        interface="asgi3",  # uvicorn cannot tell: the gateway's __call__ is a plain function
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=4096,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=int(settings.grace_seconds) or 1,
    )


def _disconnect(scope: dict[str, Any]) -> None:
    request = scope.get("vitrine")
    if isinstance(request, Request):
        request.disconnect()


def _render(code: str, sentence: str) -> bytes:
    return orjson.dumps({"error": sentence, "code": code})


def _return_freed_memory() -> None:
    """Make glibc return large blocks to the system when they are freed.

    By default glibc raises the threshold up to 32 MB, and 100 MB of freed bodies stay in its heaps. A photo's arrays
    have up to 1 MB: taken from the system and returned each time, they made decoding 1.6 times as long. Other C
    libraries have no such settings.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
