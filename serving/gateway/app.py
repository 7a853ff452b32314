"""``create_app(settings)``: the parts put together. Nothing here or below it is a module global."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.artifacts import routing_file as routing
from serving.gateway import errors
from serving.gateway.api import drift, openapi
from serving.gateway.api import health as operations
from serving.gateway.api import models as catalogue
from serving.gateway.api import ui as site
from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel, client_ssl_context
from serving.gateway.errors import GatewayError
from serving.gateway.http import compression as compress
from serving.gateway.http import keys_file as keys
from serving.gateway.http.admission import Admission
from serving.gateway.http.authentication import Authentication
from serving.gateway.http.keys_file import Key
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.http.middleware import GatewayMiddleware, error_answer
from serving.gateway.http.paths import error_form
from serving.gateway.inference.call import InputLimits
from serving.gateway.inference.predictor import Predictor
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import Kind
from serving.gateway.models import readiness
from serving.gateway.models.discovery import ConfiguredModels, ModelDiscovery
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.routing import ModelState
from serving.gateway.observability import tracing as traces
from serving.gateway.observability.drift import Drift, DriftCounts
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.protocols import open_inference as inference_protocol
from serving.gateway.protocols.dispatch import HotPaths
from serving.gateway.protocols.native import NativeProtocol
from serving.gateway.protocols.open_inference import OpenInferenceProtocol
from serving.gateway.protocols.tensorflow_serving import TensorFlowServingProtocol
from serving.gateway.settings import Settings, addresses
from serving.gateway.workers.merged_readiness import ReadinessReport, notes_of_others, reasons_of_others
from serving.gateway.workers.supervisor_link import Reports, SupervisorLink

_LOADING_SECONDS = 30.0  # a worker opens its port after this time even if a model is still being loaded
_GARBAGE_ROUNDS = 50_000, 50, 100  # new objects until a round, rounds until a larger one


class Gateway(FastAPI):
    """A FastAPI application with the hot paths in front of its middleware."""

    def __init__(self, settings: Settings, link: SupervisorLink | None = None, kinds: Sequence[Kind] = KINDS) -> None:
        super().__init__(
            title="Vitrine",
            version="1",
            description=openapi.DESCRIPTION,
            lifespan=self._lifespan,
            generate_unique_id_function=openapi.operation_id,
            openapi_url=None,  # openapi.mount adds it, rendered once
            docs_url=None,  # site.py has it, without what FastAPI's own fetches from elsewhere
            redoc_url=None,
            redirect_slashes=False,  # behind an ingress with TLS it would lead to http
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.settings = settings
        self._kinds = kinds
        self.draining = False
        self._link = link
        self._drift = Drift(settings.drift_per_second) if settings.drift_per_second else None
        self.metrics = GatewayMetrics(self._drift)
        self._traces = traces.configured()
        self._configured = ConfiguredModels(settings.models_config, settings.model_names)
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        ca = settings.model_server_ca
        self._model_server = TFServingBackend(
            Channel(
                addresses(settings.model_server),
                client_ssl_context(ca, settings.model_server_cert, settings.model_server_key)
                if ca is not None
                else None,
                max_message_bytes=settings.max_answer_bytes,
            ),
            settings.model_server,
        )
        self._routing = WatchedFile[routing.Routing](settings.routing, routing.parse, {}, optional=True)
        self._keys = WatchedFile[keys.Keys](settings.keys, keys.parse, {}) if settings.keys is not None else None
        self._files: dict[str, WatchedFile[Any]] = {"models_config": self._configured, "routing": self._routing}
        if self._keys is not None:
            self._keys.read()
            self._files["keys"] = self._keys
        for name, file in self._files.items():
            self.metrics.watch_file(name, file.is_refused)
        self._registry = ModelDiscovery(
            self._model_server, self._configured, self._routing, settings.poll_seconds, kinds
        )
        self._predictor = Predictor(
            self._model_server,
            self._registry,
            self.metrics,
            self._drift,
            max_rows=settings.max_rows,
            max_waiting=settings.max_queue_rows,
            calls_per_signature=settings.calls_per_signature,
        )
        for failure in (GatewayError, RequestValidationError, HTTPException):
            self.add_exception_handler(failure, self._failed)
        self.include_router(catalogue.router(lambda: self._registry.models, self._model_server))
        self.include_router(drift.router(lambda: self._registry.models, self._drift, self._drift_of_others))
        self.include_router(
            inference_protocol.router(lambda: self._registry.models, lambda: not self._reasons_against(None))
        )
        self.include_router(operations.router(self._readiness, self._metrics_page))
        openapi.mount(self)
        site.mount(self)
        self.add_middleware(GZipMiddleware, minimum_size=compress.WORTH, compresslevel=1)
        if link is not None:
            link.answer_with("metrics", self.metrics.report)
            link.answer_with("readiness", self._readiness_report)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """As FastAPI's, without its and Starlette's coroutines around each request."""
        if scope["type"] != "http" or self.middleware_stack is None:
            return super().__call__(scope, receive, send)
        scope["app"] = self
        return self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's own layers, behind the edge."""
        settings = self.settings
        limits = InputLimits(settings.max_rows, settings.max_pixels)
        inference = HotPaths(
            self._predictor,
            Admission(settings.max_in_flight, settings.max_share),
            MemoryBudget(settings.max_bytes_in_flight, self._threads, settings.max_share),
            NativeProtocol(self._predictor, limits),
            TensorFlowServingProtocol(
                self._predictor,
                self._model_server,
                limits,
                calls_at_once=settings.calls_per_signature,
            ),
            OpenInferenceProtocol(self._predictor, limits),
            max_body_bytes=settings.max_body_bytes,
            max_rows=settings.max_rows,
        )
        edge = GatewayMiddleware(
            super().build_middleware_stack(),
            inference,
            self.metrics,
            lambda: self._registry.models,
            self._door(),
            self._traces,
            deadline_seconds=settings.deadline_seconds,
            retry_after_seconds=settings.retry_after_seconds,
            access_log=settings.access_log,
        )
        return _with_cors(edge, settings.origins) if settings.origins else edge

    def _door(self) -> Authentication | None:
        settings, known = self.settings, self._keys
        if known is None and not settings.rate:
            return None
        from serving.gateway.http.rate_limits import Rates, StoredCounts

        if self._link is not None and settings.rate_storage.startswith("memory"):
            rates = Rates(settings.rate, self._link)
        else:
            rates = Rates(settings.rate, StoredCounts(settings.rate_storage))
        return Authentication(
            None if known is None else lambda: known.value, rates, metrics_need_key=settings.metrics_need_key
        )

    def openapi(self) -> dict[str, Any]:
        """Return FastAPI's document with the inference paths added."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.with_inference(super().openapi(), self._kinds)
        return self.openapi_schema

    def _may_know(self, key: Key | None) -> Callable[[str], bool]:
        """Whether the holder of the key may learn of a model by its name."""
        if key is None:
            return lambda model: self._keys is None
        return key.reaches

    def _reasons_against(self, key: Key | None) -> list[str]:
        anonymous = key is None and self._keys is not None
        return readiness.reasons_against(
            self._registry.models,
            None if anonymous else self._configured.problem,
            self.draining,
            self._may_know(key),
        )

    async def _readiness(self, key: Key | None) -> tuple[list[str], list[str]]:
        """Reasons against readiness, and notes, of all workers."""
        reasons, notes = self._reasons_against(key), self._notes(key)
        if self._link is not None:
            try:
                reports = await self._link.reports("readiness")
            except TimeoutError:
                return [*reasons, "the supervisor of the workers does not answer"], notes
            own = readiness.model_problems(self._registry.models)
            reasons += reasons_of_others(reports, self._link.worker, own, self._may_know(key))
            notes += notes_of_others(reports)
        return reasons, notes

    def _readiness_report(self) -> ReadinessReport:
        models = self._registry.models
        return {"problems": readiness.model_problems(models), "models": len(models)}

    async def _metrics_page(self) -> bytes:
        if self._link is None:
            return self.metrics.page()
        return self.metrics.merged_page(await self._reports(self._link, "metrics"), self._link.worker)

    async def _drift_of_others(self) -> list[list[DriftCounts]]:
        if self._link is None:
            return []
        reports = await self._reports(self._link, "metrics")
        others = (one["report"] for one in reports["workers"] if one["worker"] != self._link.worker)
        return [report["drift"] for report in others if report is not None]

    async def _reports(self, link: SupervisorLink, kind: str) -> Reports:
        try:
            return await link.reports(kind)
        except TimeoutError:
            raise errors.Unavailable("the supervisor of the workers does not answer; try again") from None

    def _notes(self, key: Key | None) -> list[str]:
        refused = [f"{file.problem}; what was read before stays" for file in self._files.values() if file.problem]
        if refused and self._keys is not None and (key is None or key.models):
            refused = ["an edit of a file was refused; ask with a key for every model to see which and why"]
        return refused + readiness.unreadable_cards(self._registry.models, self._may_know(key))

    def _after_round(self, models: Mapping[str, ModelState]) -> None:
        self.metrics.set_models(models)
        self._predictor.forget_gone(models)
        if self._drift is not None:
            self._drift.keep_only({name: state.versions for name, state in models.items()})
            if self._link is not None:  # other workers may have counts of a version that this one has not answered for
                for state in models.values():
                    for version in state.versions.values():
                        self._drift.of(version)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._registry.run(self._after_round)), asyncio.create_task(self._freeze())]
        if self._keys is not None:
            tasks.append(asyncio.create_task(self._follow_keys(self._keys)))
        try:
            if self._link is not None:
                await self._models_loaded()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._predictor.close()
            await self._model_server.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
            if self._traces is not None:
                await asyncio.to_thread(self._traces.close)

    async def _models_loaded(self) -> None:
        """Wait until the models are known and none is being loaded: the port opens afterwards."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOADING_SECONDS):
                await self._registry.first_round.wait()
                while not self.draining and readiness.is_loading(self._registry.models):
                    await asyncio.sleep(self.settings.poll_seconds)

    async def _follow_keys(self, file: WatchedFile[keys.Keys]) -> None:
        while True:
            file.read()
            await asyncio.sleep(self.settings.poll_seconds)

    async def _freeze(self) -> None:
        """Once everything is loaded, takes it out of the garbage collector's rounds: the slowest answers halve. And the
        rounds become rare: what hundreds of requests under way hold is no garbage, and looking through it again and
        again took a seventh of the time at 256 of them."""
        await self._registry.first_round.wait()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_ROUNDS)

    async def _failed(self, request: Request, error: Exception) -> Response:
        """FastAPI's and Starlette's own errors in the gateway's form."""
        answer = error_answer(
            _as_ours(error),
            request.scope["state"].get("request_id", ""),
            self.settings.retry_after_seconds,
            error_form(request.url.path),
        )
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        return Response(answer.body, answer.status, headers, answer.content_type.decode("ascii"))


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Inference-Header-Content-Length",
            "Traceparent",
            "Tracestate",
            "X-API-Key",
            "X-Request-Id",
            "X-Request-Timeout",
        ],
        expose_headers=["Inference-Header-Content-Length", "Retry-After", "X-Model-Version", "X-Request-Id"],
        max_age=3600,
    )


def _as_ours(error: Exception) -> GatewayError:
    match error:
        case GatewayError():
            return error
        case RequestValidationError():
            first = error.errors()[0]
            return errors.BadOption(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "")
            return errors.MethodNotAllowed(f"this path is asked by {allowed}", allowed)
        case HTTPException(status_code=404):
            return errors.UnknownPath("there is no such path; /docs lists those that are there")
        case _:
            return GatewayError("the gateway failed")


def create_app(settings: Settings, link: SupervisorLink | None = None, kinds: Sequence[Kind] = KINDS) -> Gateway:
    """The gateway as an ASGI application. Needs a running event loop: it opens a channel to the model server.

    With a link it is one of several workers.
    """
    return Gateway(settings, link, kinds)
