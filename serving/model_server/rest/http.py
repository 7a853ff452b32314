"""The HTTP server: uvicorn with httptools, as the gateway has it, on a socket of its own.

It costs .1 s and 9 MB at start, only where ``--rest_api_port`` is given, and reads HTTP in C.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from serving.model_server import sockets
from serving.model_server.rest.api import Api

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_KEEP_ALIVE = 75  # seconds that a connection may idle


class HttpServer:
    """Listens from the moment it is made, answers between :meth:`start` and :meth:`stop`."""

    def __init__(self, api: Api, host: str, port: int) -> None:
        """A ``host`` of 0.0.0.0 is every address, of IPv6 as well. Raises OSError where the port cannot be had."""
        self._socket = sockets.listen(host, port)
        config = uvicorn.Config(
            _application(api),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self, seconds: float) -> None:
        """Let requests under way end, for so long."""
        self._server.should_exit = True
        if self._task:
            _, late = await asyncio.wait([self._task], timeout=seconds)
            for task in late:
                task.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's."""
        yield


def _application(api: Api) -> Any:
    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        parts = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        answer = await api.answer(scope["method"], path, headers, b"".join(parts))
        sent = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        sent.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})

    return application
