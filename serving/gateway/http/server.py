"""The program around the application: one uvicorn server that ends gently."""

import asyncio
import contextlib
import ctypes
import functools
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import orjson
import prometheus_client
import uvicorn
import uvloop

from serving.gateway.app import Gateway, create_app
from serving.gateway.http.request import Request
from serving.gateway.observability import logging as logs
from serving.gateway.settings import Settings
from serving.http_server.protocol import Protocol

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BLOCK = 131_072  # bytes
_LISTENERS = 4  # each more takes about 5 µs from a client that connects alone


class Server(uvicorn.Server):
    """uvicorn's server, but SIGTERM first lets ``/readyz`` say 503 for a while, so that whoever routes requests here
    can stop doing so, and the process then ends with code 0. A second signal, or Ctrl-C, ends it at once."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens on each socket several times: uvloop takes one connection a turn from each listener, and under load a
        turn is long, so that of many clients who come at once the last would wait while the first are answered again
        and again."""
        await super().startup(sockets)
        kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        protocol = functools.partial(kind, config=self.config, **state)
        loop, backlog = asyncio.get_running_loop(), self.config.backlog
        for listener in [listener for server in self.servers for listener in server.sockets] * (_LISTENERS - 1):
            twin = socket.fromfd(listener.fileno(), listener.family, listener.type)
            self.servers.append(await loop.create_server(protocol, sock=twin, ssl=self.config.ssl, backlog=backlog))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        drain = self._gateway.settings.drain_seconds
        if self._gateway.draining or sig != signal.SIGTERM or not drain:
            self.should_exit, self.force_exit = True, self.should_exit
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, drain, setattr, self, "should_exit", True)
        self._gateway.draining = True


def run(settings: Settings) -> None:
    """Serves until a signal comes."""
    _return_freed_memory()
    logs.set_up(settings.log_level, settings.log_format)
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the page
    uvloop.run(_serve(settings))


def _hang_up(scope: dict[str, Any]) -> None:
    request = scope.get("vitrine")
    if isinstance(request, Request):
        request.hang_up()


def _render(code: str, sentence: str) -> bytes:
    return orjson.dumps({"error": sentence, "code": code})


def _return_freed_memory() -> None:
    """Give large blocks back to the system when they are freed.

    By default glibc raises the size from which it does so up to 32 MB, and 100 MB of freed bodies stay in its heaps.
    Other C libraries have no such setting.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


async def _serve(settings: Settings) -> None:
    gateway = create_app(settings)
    config = uvicorn.Config(
        gateway,
        host=settings.host,
        port=settings.port,
        http=functools.partial(  # type: ignore[arg-type]
            Protocol,
            max_headers=settings.max_headers,
            max_header_bytes=settings.max_header_bytes,
            head_seconds=settings.head_seconds,
            send_seconds=settings.send_seconds,
            on_refused=functools.partial(gateway.metrics.refused, ""),  # no model: its path was not looked at
            on_hang_up=_hang_up,
            render=_render,
            is_draining=lambda: gateway.draining,
        ),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        interface="asgi3",  # it is not seen from the gateway, whose call is a plain function
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
    await Server(config, gateway).serve()
