"""The HTTP server of the REST interface: uvicorn with the gateway's HTTP protocol and limits.

Import this module only with ``--rest_api_port``: that takes 0.1 s and 9 MB.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from serving.http_server.linger import linger
from serving.http_server.protocol import LimitedHttpProtocol
from serving.model_server import sockets
from serving.model_server.rest.api import RestApi, RestResponse, error_response

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_KEEP_ALIVE = 75  # seconds


@dataclass(frozen=True)
class HttpLimits:
    """Limits of requests; the defaults are the gateway's.

    Attributes:
        max_headers: number of headers.
        max_header_bytes: size of the request line and all headers.
        max_body_bytes: size of a request's body.
        max_bytes_held: size of all request bodies together.
        head_seconds: time to receive the headers.
        body_seconds: time to receive the body.
        send_seconds: time for a client to read another 16 KiB of its answer.
    """

    max_headers: int = 100
    max_header_bytes: int = 32_768
    max_body_bytes: int = 32_000_000
    max_bytes_held: int = 256_000_000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    send_seconds: float = 30.0


class HttpServer:
    """Listens from its creation, and answers between :meth:`start` and :meth:`stop`."""

    def __init__(self, api: RestApi, host: str, port: int, limits: HttpLimits) -> None:
        """Listen on a port. A ``host`` of 0.0.0.0 means every address, IPv6 too.

        Raises:
            OSError: the port is not available.
        """
        self._socket = sockets.listen(host, port)
        config = uvicorn.Config(
            _Application(api, limits),
            http=functools.partial(  # type: ignore[arg-type]
                LimitedHttpProtocol,
                max_headers=limits.max_headers,
                max_header_bytes=limits.max_header_bytes,
                head_seconds=limits.head_seconds,
                send_seconds=limits.send_seconds,
                on_rejected=lambda _: None,
                on_disconnect=lambda _: None,
                render_error=lambda _, sentence: error_response(400, sentence).body,
                is_draining=self._is_draining,
            ),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._server: uvicorn.Server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Answer requests in the running event loop."""
        self._task = asyncio.create_task(self._server.serve([self._socket]))

    def _is_draining(self) -> bool:
        return self._server.should_exit

    async def stop(self, seconds: float) -> None:
        """Close the port and wait up to ``seconds`` for requests in progress."""
        self._server.should_exit = True
        if self._task:
            _, late = await asyncio.wait([self._task], timeout=seconds)
            for task in late:
                task.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program."""
        yield


class _Application:
    """ASGI application that reads bodies within the limits and answers requests."""

    def __init__(self, api: RestApi, limits: HttpLimits) -> None:
        self._api = api
        self._limits = limits
        self._held = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        parts: list[bytes] = []
        try:
            error = await self._read(headers, receive, parts)
            if error is None:
                path = scope["raw_path"].decode("latin-1").partition("?")[0]
                await _send(await self._api.answer(scope["method"], path, headers, b"".join(parts)), send)
            else:
                await _send(error, send, receive)
        except _Disconnected:
            pass
        finally:
            self._held -= sum(map(len, parts))

    async def _read(self, headers: dict[str, str], receive: Receive, parts: list[bytes]) -> RestResponse | None:
        """Read the body into ``parts``. Return an error response if it breaks a limit.

        Raises:
            _Disconnected: the client closed the connection.
        """
        limit, seconds, size = self._limits.max_body_bytes, self._limits.body_seconds, 0
        declared = headers.get("content-length")
        if declared is not None and int(declared) > limit:
            return error_response(413, f"the body has {int(declared)} bytes; at most {limit} are accepted")
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Disconnected
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        return error_response(
                            413, f"the body has more than {limit} bytes; at most {limit} are accepted"
                        )
                    if self._held + len(part) > self._limits.max_bytes_held:
                        return error_response(503, "the server is reading too many request bodies; try again later")
                    self._held += len(part)
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError:
            return error_response(408, f"the body was not received within {seconds:g} s; send it again")
        return None


class _Disconnected(Exception):
    """The client closed the connection before its request was complete."""


async def _send(response: RestResponse, send: Send, unread: Receive | None = None) -> None:
    """Send a response. ``unread`` receives the rest of a refused body; the connection then ends."""
    headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": bool(unread)})
    if unread:
        await linger(unread)
        await send({"type": "http.response.body", "body": b""})
