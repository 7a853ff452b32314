"""The gateway's ASGI middleware: request ids, deadlines, authentication, metrics and access log.

It answers the hot paths (``POST /v1/models/…:verb``, ``/v2/models/…/infer`` and the like) itself. All other paths go
to FastAPI, whose own middleware would take a tenth of a hot request's time.
"""

import asyncio
import itertools
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Container
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway import errors
from serving.gateway.errors import GatewayError
from serving.gateway.http.authentication import Authentication
from serving.gateway.http.error_responses import error_response
from serving.gateway.http.paths import Target, is_hot, normalize, parse_target
from serving.gateway.http.request import Disconnected, Request, Response
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.request_log.request_log import RequestLog
from serving.gateway.observability.tracing import Traces
from serving.gateway.settings import Settings

log = logging.getLogger("vitrine.requests")

_CLIENT_CLOSED_REQUEST = 499  # nginx's status, only for traces

HotHandler = Callable[[Target, Request], Awaitable[Response]]


class GatewayMiddleware:
    """ASGI middleware: hot paths to ``hot``, all others to ``app``."""

    def __init__(
        self,
        app: ASGIApp,
        hot: HotHandler,
        metrics: GatewayMetrics,
        models: Callable[[], Container[str]],
        authentication: Authentication | None,
        traces: Traces | None,
        request_log: RequestLog | None,
        settings: Settings,
    ) -> None:
        """Wrap an application.

        Args:
            app: FastAPI's middleware stack.
            hot: answers the hot paths.
            metrics: counts requests.
            models: names that may become label values of metrics.
            authentication: None if neither keys nor rate limits are configured.
            traces: None if tracing is not configured.
            request_log: None if requests are not logged.
            settings: deadlines, Retry-After and the access log.
        """
        self._app = app
        self._hot = hot
        self._metrics = metrics
        self._models = models
        self._authentication = authentication
        self._traces = traces
        self._request_log = request_log
        self._deadline_seconds = settings.deadline_seconds
        self._retry_after = settings.retry_after_seconds
        self._access_log = settings.access_log
        self._in_flight = 0
        self._ids = itertools.count(1)
        self._id_prefix = secrets.token_hex(6)
        self._error_log = _ErrorLog()
        metrics.watch_in_flight(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        new_id = f"{self._id_prefix}-{next(self._ids):x}"
        loop = asyncio.get_running_loop()
        request = Request(scope, receive, new_id, loop.time(), self._deadline_seconds)
        if not is_hot(request.path):
            await self._handle_by_app(request, scope, receive, send, started)
            return
        self._in_flight += 1
        version = verb = ""
        scope["vitrine"] = request  # the HTTP protocol reports a disconnected client to it
        request.task = asyncio.current_task(loop)  # without it Python looks the loop up again
        if self._traces is not None:
            request.trace = self._traces.begin(request.headers, request.id, started)
        if self._request_log is not None and self._request_log.samples():
            request.keep_bytes = self._request_log.max_bytes
        try:
            if self._authentication is not None:
                await self._authentication.authenticate(request)
            target = parse_target(request.path)
            request.model, verb = target.model, target.verb
            timeout = request.headers.get(b"x-request-timeout")
            if timeout is not None:
                request.shorten_deadline(timeout)
            timer = loop.call_at(request.deadline, request.expire)  # a fifth of the cost of asyncio.timeout
            try:
                response = await self._hot(target, request)
            finally:
                timer.cancel()
            version = response.version
        except (Exception, asyncio.CancelledError) as error:
            failed = self._failed_response(request, error)
            if failed is None:
                self._record_disconnect(request, verb)
                return
            response = failed
        finally:
            self._in_flight -= 1
            del scope["vitrine"]  # a reference cycle would stay until the next garbage collection
            request.task = None
        await request.respond(response, send)
        model = self._model_label(request.model)
        self._record(request, model, version, verb, response.status, started)
        if request.keep_bytes and model and self._request_log is not None:
            self._request_log.offer_request(request, response, verb, perf_counter() - started)

    async def _handle_by_app(
        self, request: Request, scope: Scope, receive: Receive, send: Send, started: float
    ) -> None:
        """Pass a request to FastAPI, and add the request id to the response.

        FastAPI does not answer HEAD by itself, so it sees GET; the server removes the body by its own scope.
        """
        scope.setdefault("state", {})["request_id"] = request.id
        method = "GET" if request.method == "HEAD" else request.method
        scope = {**scope, "path": normalize(request.path), "method": method}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request.id.encode("ascii"))]
            await send(message)

        try:
            if self._authentication is not None:
                await self._authentication.authenticate(request)
            scope["state"]["key"] = request.key
            await self._app(scope, receive, send_with_id)
        except GatewayError as error:
            response = self._error_response(request, error)
            status = response.status
            await request.respond(response, send)
        except Exception:
            response = self._unexpected_error(request)
            if not status:
                status = response.status
                await request.respond(response, send)
        state = scope["state"]
        self._record(
            request, self._model_label(state.get("model", "")), "", state.get("verb", "other"), status, started
        )

    def _failed_response(self, request: Request, error: BaseException) -> Response | None:
        """Return the response to a failed request; None if the client has disconnected.

        Raises:
            asyncio.CancelledError: the server cancels the request.
        """
        if isinstance(error, GatewayError):
            return self._error_response(request, error)
        if isinstance(error, Disconnected):
            return None
        if not isinstance(error, asyncio.CancelledError):
            return self._unexpected_error(request)
        if request.stopped == "disconnected":
            return None
        if request.stopped != "expired" or request.task is None:
            raise error
        request.task.uncancel()
        limit = f"within the deadline of {request.timeout:g} s"
        if request.body_read:
            return self._error_response(request, errors.DeadlineExceeded(f"no answer {limit}"))
        message = f"the request body was not received {limit}; send it again"
        return self._error_response(request, errors.TooLate(message))

    def _record_disconnect(self, request: Request, verb: str) -> None:
        model = self._model_label(request.model)
        self._metrics.refused(model, "client_gone")
        if request.trace is not None:
            request.trace.end(model, "", verb, _CLIENT_CLOSED_REQUEST)

    def _model_label(self, model: str) -> str:
        """Return the model as a label value; empty for names that clients make up."""
        return model if model in self._models() else ""

    def _error_response(self, request: Request, error: GatewayError) -> Response:
        self._metrics.refused(self._model_label(request.model), error.reason)
        response = error_response(error, request.id, self._retry_after, request.form)
        if response.status >= 500:
            self._error_log.add(response.status, error.message, request)
        return response

    def _unexpected_error(self, request: Request) -> Response:
        log.exception("unexpected error", extra={"request_id": request.id, "path": request.path})
        error = GatewayError("the gateway failed; its log has the reason under this request id")
        return error_response(error, request.id, self._retry_after, request.form)

    def _record(self, request: Request, model: str, version: str, verb: str, status: int, started: float) -> None:
        seconds = perf_counter() - started
        self._metrics.observe(model, version, verb, status, seconds)
        trace = request.trace
        if trace is not None:
            trace.end(model, version, verb, status)
        if self._access_log and random.random() < self._access_log:  # nosec B311 # a sample of the log
            extra = {"request_id": request.id, "model": model, "model_version": version, "status": status}
            extra |= {"ms": round(seconds * 1000, 2), "bytes": request.size, "client": request.client}
            if trace is not None:
                extra["trace_id"] = trace.id
            log.info("%s %s %d", request.method, request.path, status, extra=extra)


class _ErrorLog:
    """Logs failed requests, at most one line a second for each status."""

    def __init__(self) -> None:
        self._next: dict[int, float] = {}
        self._suppressed: dict[int, int] = {}

    def add(self, status: int, message: str, request: Request) -> None:
        """Log a failed request, or only count it."""
        now = asyncio.get_running_loop().time()
        if now < self._next.get(status, 0):
            self._suppressed[status] = self._suppressed.get(status, 0) + 1
            return
        self._next[status] = now + 1
        extra = {"request_id": request.id, "path": request.path, "status": status}
        log.warning(message, extra=extra | {"and_before": self._suppressed.pop(status, 0)})
