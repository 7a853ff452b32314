"""The outermost layer: a request's id, its deadline, its place in the metrics and the log; and the one place where
errors become HTTP.

The hot paths (``POST /v1/models/…:verb``, ``/v2/models/…/infer`` and their like) are answered from here by plain
functions; everything else goes on to FastAPI, whose middleware would take a tenth of a hot request's time.
"""

import asyncio
import itertools
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Container
from time import perf_counter
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway import errors
from serving.gateway.errors import GatewayError
from serving.gateway.http.authentication import Authentication
from serving.gateway.http.paths import Form, Target, is_hot, normal, target
from serving.gateway.http.request import Disconnected, Header, Request, Response
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.tracing import Traces

log = logging.getLogger("vitrine.requests")

STATUS: dict[type[GatewayError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.UnknownSignature: 400,  # it stands in the body, not in the path
    errors.UnknownLabel: 400,  # as in TensorFlow Serving, whose paths these are
    errors.MethodNotAllowed: 405,
    errors.TooLate: 408,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.TooMany: 429,
    errors.Unimplemented: 501,
    errors.BadUpstream: 502,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
    GatewayError: 500,
}

_CLIENT_GONE = 499  # as nginx has it; nobody sees it but the traces

Hot = Callable[[Target, Request], Awaitable[Response]]


def status_of(error: GatewayError) -> int:
    """The HTTP status of an error: that of the nearest class with one."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def error_answer(error: GatewayError, request_id: str, retry_after: int, form: Form) -> Response:
    """An error as HTTP, in the form of the façade that was asked."""
    status = status_of(error)
    headers: list[Header] = []
    if status in (429, 503):
        headers.append((b"retry-after", b"%d" % (error.retry_after or retry_after)))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="vitrine"'))
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode("ascii")))
    return Response(status, orjson.dumps(_document(error, status, request_id, form)), headers=headers)


def _document(error: GatewayError, status: int, request_id: str, form: Form) -> dict[str, Any]:
    match form:
        case Form.NATIVE:
            return {"error": error.message, "code": error.code, "request_id": request_id}
        case Form.PLAIN:
            return {"error": error.message}
        case Form.OPENAI:
            kind = "invalid_request_error" if status < 500 else "server_error"
            return {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}


class GatewayMiddleware:
    """ASGI: hot paths to ``hot``, everything else to ``app``. ``models`` says which names the metrics may carry."""

    def __init__(
        self,
        app: ASGIApp,
        hot: Hot,
        metrics: GatewayMetrics,
        models: Callable[[], Container[str]],
        door: Authentication | None,
        traces: Traces | None,
        *,
        deadline_seconds: float,
        retry_after_seconds: int,
        access_log: float,
    ) -> None:
        self._app = app
        self._hot = hot
        self._metrics = metrics
        self._models = models
        self._door = door
        self._traces = traces
        self._deadline_seconds = deadline_seconds
        self._retry_after = retry_after_seconds
        self._access_log = access_log
        self._in_flight = 0
        self._ids = itertools.count(1)
        self._id_prefix = secrets.token_hex(6)
        self._reports = _Reports()
        metrics.watch_in_flight(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        loop = asyncio.get_running_loop()
        new_id = f"{self._id_prefix}-{next(self._ids):x}"
        request = Request(scope, receive, new_id, loop.time(), self._deadline_seconds)
        if not is_hot(request.path):
            await self._cold(request, scope, receive, send, started)
            return
        self._in_flight += 1
        version = verb = ""
        scope["vitrine"] = request  # for the protocol, which sees a client hang up
        request.task = asyncio.current_task()
        if self._traces is not None:
            request.trace = self._traces.begin(request.headers, request.id, started)
        try:
            if self._door is not None:
                await self._door.enter(request)
            named = target(request.path)
            request.model, verb = named.model, named.verb
            wanted = request.headers.get(b"x-request-timeout")
            if wanted is not None:
                request.shorten(wanted)
            expiry = loop.call_at(request.deadline, request.expire)  # asyncio.timeout would take five times as long
            try:
                answer = await self._hot(named, request)
            finally:
                expiry.cancel()
            version = answer.version
        except GatewayError as error:
            answer = self._error(request, error)
        except Disconnected:
            self._gone(request, verb)
            return
        except asyncio.CancelledError:
            if request.stopped == "gone":
                self._gone(request, verb)
                return
            if request.stopped != "late" or request.task is None:
                raise
            request.task.uncancel()
            answer = self._late(request)
        except Exception:
            answer = self._defect(request)
        finally:
            self._in_flight -= 1
            del scope["vitrine"]  # what points in a circle would wait for the garbage collector
            request.task = None
        await request.answer(answer, send)
        self._done(request, self._known(request.model), version, verb, answer.status, perf_counter() - started)

    async def _cold(self, request: Request, scope: Scope, receive: Receive, send: Send, started: float) -> None:
        """FastAPI's part. Its answers get the request's id; what it could not foresee becomes a plain 500. HEAD, which
        it does not know by itself, is asked as GET: the server, whose own scope says HEAD, leaves the body out."""
        scope.setdefault("state", {})["request_id"] = request.id
        method = "GET" if request.method == "HEAD" else request.method
        scope = {**scope, "path": normal(request.path), "method": method}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request.id.encode("ascii"))]
            await send(message)

        try:
            if self._door is not None:
                await self._door.enter(request)
            scope["state"]["key"] = request.key
            await self._app(scope, receive, send_with_id)
        except GatewayError as error:
            answer = self._error(request, error)
            status = answer.status
            await request.answer(answer, send)
        except Exception:
            answer = self._defect(request)
            if not status:
                status = answer.status
                await request.answer(answer, send)
        self._done(request, "", "", "other", status, perf_counter() - started)

    def _gone(self, request: Request, verb: str) -> None:
        """The client hung up, so there is no answer."""
        model = self._known(request.model)
        self._metrics.refused(model, "client_gone")
        if request.trace is not None:
            request.trace.end(model, "", verb, _CLIENT_GONE)

    def _late(self, request: Request) -> Response:
        limit = f"within the deadline of {request.timeout:g} s"
        if request.body_read:
            return self._error(request, errors.DeadlineExceeded(f"no answer {limit}"))
        return self._error(request, errors.TooLate(f"the body did not come whole {limit}; send it again"))

    def _known(self, model: str) -> str:
        """The model as a label: whatever a client makes up is none."""
        return model if model in self._models() else ""

    def _error(self, request: Request, error: GatewayError) -> Response:
        self._metrics.refused(self._known(request.model), error.reason)
        answer = error_answer(error, request.id, self._retry_after, request.form)
        if answer.status >= 500:
            self._reports.add(answer.status, error.message, request)
        return answer

    def _defect(self, request: Request) -> Response:
        log.exception("unexpected error", extra={"request_id": request.id, "path": request.path})
        error = GatewayError("the gateway failed; its log says why under this request id")
        return error_answer(error, request.id, self._retry_after, request.form)

    def _done(self, request: Request, model: str, version: str, verb: str, status: int, seconds: float) -> None:
        self._metrics.observe(model, version, verb, status, seconds)
        trace = request.trace
        if trace is not None:
            trace.end(model, version, verb, status)
        if self._access_log and random.random() < self._access_log:
            extra = {"request_id": request.id, "model": model, "model_version": version, "status": status}
            extra |= {"ms": round(seconds * 1000, 2), "bytes": request.size}
            if trace is not None:
                extra["trace_id"] = trace.id
            log.info("%s %s %d", request.method, request.path, status, extra=extra)


class _Reports:
    """Logs failed requests, but at most one line a second for each status, so that trouble does not become a flood."""

    def __init__(self) -> None:
        self._next: dict[int, float] = {}
        self._silent: dict[int, int] = {}

    def add(self, status: int, message: str, request: Request) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next.get(status, 0):
            self._silent[status] = self._silent.get(status, 0) + 1
            return
        self._next[status] = now + 1
        extra = {"request_id": request.id, "path": request.path, "status": status}
        log.warning(message, extra=extra | {"and_before": self._silent.pop(status, 0)})
