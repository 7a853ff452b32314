"""gRPC calls as requests to the gateway's ASGI application.

A call is a POST request over HTTP/2 to the path of its RPC, with messages as bodies. Passed on as such, it is subject
to the same keys, rates, limits, deadlines, metrics and logs as a request over HTTP.
"""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
import orjson
from starlette.types import ASGIApp, Message, Scope

from serving.gateway.http.paths import GRPC_SERVICE
from serving.gateway.http.request import Request
from serving.gateway.protocols.open_inference.infer import MESSAGE
from serving.http_server.load_shedding import LoadShedder

#: gRPC's code of each HTTP status. All others are INTERNAL.
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
#: Metadata that would describe an HTTP body, which a call does not have.
_NOT_PASSED_ON = frozenset(
    {
        *("accept", "accept-encoding", "content-encoding", "content-length", "content-type", "expect"),
        *("inference-header-content-length", "transfer-encoding"),
    }
)
_RETURNED = (b"x-request-id", b"x-model-version", b"retry-after")
_LONGEST_TIMEOUT = 1e6  # seconds


class CallHandlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the handler of an RPC by its path."""

    def __init__(
        self, app: ASGIApp, names: Iterable[str], scheme: str, tasks: set[asyncio.Task[None]], shedder: LoadShedder
    ) -> None:
        """Create the handlers.

        Args:
            app: answers POST requests to the paths of the RPCs.
            names: the RPCs.
            scheme: https if the port uses TLS, else http.
            tasks: has the running requests, for a graceful stop.
            shedder: counts the requests of this process.
        """
        self._app = app
        self._shedder = shedder
        self._scheme = scheme
        self._tasks = tasks
        self._handlers = {path: self._handler(path) for path in (f"{GRPC_SERVICE}{name}" for name in names)}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler; None if there is no such RPC."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, path: str) -> grpc.RpcMethodHandler:
        async def handle(_: Any, context: grpc.aio.ServicerContext) -> bytes:
            return await self._answer(path, context)

        # Not unary_unary: grpcio would read the message before the caller's key is checked.
        return grpc.stream_unary_rpc_method_handler(handle)

    async def _answer(self, path: str, context: grpc.aio.ServicerContext) -> bytes:
        exchange = _Exchange(context)
        scope = self._scope(path, context)
        task = asyncio.create_task(self._run(scope, exchange))
        self._tasks.add(task)
        self._shedder.enter()
        task.add_done_callback(self._finished)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            _cancel(task, scope)
            raise
        if exchange.status == 0:  # the client has disconnected, or the process ends
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the call was cancelled; try again")
        returned = [(name.decode("ascii"), value.decode("latin-1")) for name, value in exchange.headers]
        if exchange.status == 200:
            context.set_trailing_metadata(returned)
            return exchange.body
        code = CODES.get(exchange.status, grpc.StatusCode.INTERNAL)
        await context.abort(code, orjson.loads(exchange.body)["error"], tuple(returned))
        raise AssertionError("abort raises")

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._shedder.leave()

    async def _run(self, scope: Scope, exchange: "_Exchange") -> None:
        await self._app(scope, exchange.receive, exchange.send)

    def _scope(self, path: str, context: grpc.aio.ServicerContext) -> Scope:
        headers = [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in context.invocation_metadata() or ()
            if isinstance(value, str) and name not in _NOT_PASSED_ON
        ]
        headers.append((b"content-type", MESSAGE))
        seconds = context.time_remaining()
        if seconds is not None:
            headers.append((b"x-request-timeout", b"%.6f" % min(max(seconds, 1e-6), _LONGEST_TIMEOUT)))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "2",
            "method": "POST",
            "scheme": self._scheme,
            "path": path,
            "raw_path": path.encode("ascii"),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": _address(context.peer()),
        }


class _Exchange:
    """The two directions of one call as ASGI's ``receive`` and ``send``."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context
        self._received = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def receive(self) -> Message:
        """Read the request's message."""
        message = grpc.aio.EOF if self._received else await self._context.read()
        self._received = True
        if message is grpc.aio.EOF:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": message, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [header for header in message["headers"] if header[0] in _RETURNED]
        else:
            self.body += message.get("body", b"")


def _cancel(task: asyncio.Task[None], scope: Scope) -> None:
    """Cancel a request whose client has cancelled the call or whose deadline has passed."""
    request = scope.get("vitrine")
    if isinstance(request, Request):
        request.disconnect()
    else:
        task.cancel()


def _address(peer: str) -> tuple[str, int] | None:
    """Return host and port of a peer such as ``ipv4:127.0.0.1:52000``."""
    _, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() else None
