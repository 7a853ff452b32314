"""The gateway as an ASGI application: ``create_app(settings)`` puts its parts together."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.artifacts import routing_file
from serving.artifacts.routing_file import Routing
from serving.gateway import errors
from serving.gateway.api import admin, drift, feedback, health, models, openapi, ui, versions
from serving.gateway.backends.selection import open_model_server
from serving.gateway.errors import GatewayError
from serving.gateway.http import compression, keys_file
from serving.gateway.http.admission import Admission, create_shedder
from serving.gateway.http.authentication import Authentication
from serving.gateway.http.change_permission import ChangePermission
from serving.gateway.http.error_responses import error_response
from serving.gateway.http.keys_file import Keys
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.http.middleware import GatewayMiddleware
from serving.gateway.http.path_aliases import PathAliases
from serving.gateway.http.paths import error_form
from serving.gateway.http.trusted_proxies import TrustedProxies
from serving.gateway.inference.call import InputLimits
from serving.gateway.inference.dynamic_batching import BatchLimits
from serving.gateway.inference.predictor import Predictor
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import Kind
from serving.gateway.models.discovery import ConfiguredModels, ModelDiscovery
from serving.gateway.models.exports_folder import ExportsFolder
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.routing import ModelState
from serving.gateway.observability import tracing
from serving.gateway.observability.drift import Drift
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.request_log.opening import open_request_log
from serving.gateway.operator_reports import GatewayReports
from serving.gateway.platforms import path_aliases
from serving.gateway.protocols import hosting
from serving.gateway.protocols.dispatch import InferenceDispatcher, Protocols
from serving.gateway.protocols.hosting import HostingProtocol
from serving.gateway.protocols.native import NativeProtocol
from serving.gateway.protocols.open_inference import grpc_routes, http_routes
from serving.gateway.protocols.open_inference.infer import OpenInferenceProtocol
from serving.gateway.protocols.open_inference.model_reports import ModelReports
from serving.gateway.protocols.tensorflow_serving import TensorFlowServingProtocol
from serving.gateway.settings import Settings
from serving.gateway.workers.supervisor_link import SupervisorLink

_LOADING_SECONDS = 30.0  # a worker opens its port after this time even if a model is still loading
_CHECK_SECONDS = 0.05
_GC_THRESHOLDS = 50_000, 50, 100  # new objects before a collection, collections before one of the next generation


class Gateway(FastAPI):
    """A FastAPI application with the inference paths in front of its own middleware."""

    def __init__(self, settings: Settings, link: SupervisorLink | None = None, kinds: Sequence[Kind] = KINDS) -> None:
        """Create the parts. See :func:`create_app`."""
        super().__init__(
            title="Vitrine",
            version="1",
            description=openapi.DESCRIPTION,
            lifespan=self._lifespan,
            generate_unique_id_function=openapi.operation_id,
            openapi_url=None,  # openapi.mount adds it, rendered once
            docs_url=None,  # ui.mount adds it, without the files that FastAPI's page loads from a CDN
            redoc_url=None,
            redirect_slashes=False,  # behind an ingress with TLS the redirect would lead to http
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.settings = settings
        self.draining = False
        self._kinds = kinds
        self._link = link
        self._drift = Drift(settings.drift_per_second) if settings.drift_per_second else None
        self.metrics = GatewayMetrics(self._drift)
        self.shedder = create_shedder(settings, self.metrics)
        self._traces = tracing.configured()
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._model_server = open_model_server(settings)
        configured = ConfiguredModels(settings.models_config, settings.model_names)
        routing = WatchedFile[Routing](settings.routing, routing_file.parse, {}, optional=True)
        files: dict[str, WatchedFile[Any]] = {"models_config": configured, "routing": routing}
        self._keys = WatchedFile[Keys](settings.keys, keys_file.parse, {}) if settings.keys is not None else None
        if self._keys is not None:
            self._keys.read()
            files["keys"] = self._keys
        for name, file in files.items():
            self.metrics.watch_file(name, file.is_rejected)
        self._discovery = ModelDiscovery(self._model_server, configured, routing, settings.poll_seconds, kinds)
        self._predictor = Predictor(
            self._model_server,
            self._discovery,
            self.metrics,
            self._drift,
            _batch_limits(settings),
        )
        reports = GatewayReports(self._discovery, self._model_server, files, self.metrics, lambda: self.draining, link)
        self._request_log = open_request_log(settings, settings.port, self._models, self.metrics)
        self._add_routes(reports)

    def _add_routes(self, reports: GatewayReports) -> None:
        """Add everything but the inference paths."""
        for error in (GatewayError, RequestValidationError, HTTPException, Exception):
            self.add_exception_handler(error, self._error_response)
        folder, permission = ExportsFolder(self.settings), ChangePermission(self.settings)
        self.include_router(admin.router(folder, permission, self.settings.deadline_seconds))
        self.include_router(models.router(self._models, self._model_server, folder))
        self.include_router(drift.router(self._models, self._drift, reports.drift_of_others))
        self.include_router(
            feedback.router(
                self._models,
                folder,
                reports.new_ids,
                self.metrics.feedback,
                self._request_log,
                self.settings.deadline_seconds,
            )
        )
        self.include_router(
            versions.router(self._models, folder, permission, self._drift, reports.drift_of_others, reports.live_counts)
        )
        self._add_open_inference(reports)
        self.include_router(hosting.router(self._models, self.settings.default_model, reports.is_ready))
        self.include_router(health.router(self._models, reports.readiness, reports.metrics_page))
        openapi.mount(self)
        ui.mount(self)
        self.add_middleware(GZipMiddleware, minimum_size=compression.MIN_COMPRESSED_BYTES, compresslevel=1)

    def _add_open_inference(self, reports: GatewayReports) -> None:
        settings = self.settings
        documents = ModelReports(self._models, reports.is_ready, reports.statistics, settings.max_rows)
        self.include_router(http_routes.router(documents, settings.deadline_seconds))
        if settings.oip_grpc_port:
            self.include_router(grpc_routes.router(documents, settings.deadline_seconds))
        self.is_ready = reports.is_ready

    def _models(self) -> Mapping[str, ModelState]:
        return self._discovery.models

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Call the middleware without FastAPI's and Starlette's coroutines around each request."""
        if scope["type"] != "http" or self.middleware_stack is None:
            return super().__call__(scope, receive, send)
        scope["app"] = self
        return self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the gateway's middleware, with the inference paths, in front of FastAPI's."""
        settings = self.settings
        limits = InputLimits(settings.max_rows, settings.max_pixels)
        native = NativeProtocol(self._predictor, limits)
        tensorflow_serving = TensorFlowServingProtocol(
            self._predictor,
            self._model_server,
            limits,
            calls_at_once=settings.calls_per_signature,
        )
        inference = InferenceDispatcher(
            self._predictor,
            Admission(settings.max_in_flight, settings.max_share, self.shedder),
            MemoryBudget(settings.max_bytes_in_flight, self._threads, settings.max_share),
            Protocols(
                native,
                tensorflow_serving,
                OpenInferenceProtocol(self._predictor, limits),
                HostingProtocol(
                    self._predictor,
                    native,
                    tensorflow_serving,
                    settings.default_model,
                    mlflow=settings.platform == "mlflow",
                ),
            ),
            max_body_bytes=settings.max_body_bytes,
            max_rows=settings.max_rows,
        )
        middleware = GatewayMiddleware(
            super().build_middleware_stack(),
            inference,
            self.metrics,
            self._models,
            self._authentication(),
            self._traces,
            self._request_log,
            settings,
        )
        app = _with_cors(middleware, settings.origins) if settings.origins else middleware
        aliases = path_aliases(settings.platform, os.environ)
        app = PathAliases(app, aliases) if aliases else app
        return TrustedProxies(app, settings.proxy_networks) if settings.proxy_networks else app

    def _authentication(self) -> Authentication | None:
        """Keys and rate limits; None if neither is configured."""
        settings, keys = self.settings, self._keys
        if keys is None and not settings.rate:
            return None
        from serving.gateway.http.rate_limits import Rates, StoredCounts

        if self._link is not None and settings.rate_storage.startswith("memory"):
            rates = Rates(settings.rate, self._link, self.metrics.uncounted)
        else:
            rates = Rates(settings.rate, StoredCounts(settings.rate_storage), self.metrics.uncounted)
        return Authentication(
            None if keys is None else lambda: keys.value, rates, metrics_need_key=settings.metrics_need_key
        )

    def openapi(self) -> dict[str, Any]:
        """Return FastAPI's document with the inference paths added."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.with_inference(super().openapi(), self._kinds)
        return self.openapi_schema

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._discovery.run(self._after_poll)), asyncio.create_task(self._tune_gc())]
        if self._keys is not None:
            tasks.append(asyncio.create_task(self._follow(self._keys)))
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
            if self._request_log is not None:
                await asyncio.to_thread(self._request_log.close)
            if self._traces is not None:
                await asyncio.to_thread(self._traces.close)

    def _after_poll(self, models: Mapping[str, ModelState]) -> None:
        self.metrics.set_models(models)
        self._predictor.forget_unloaded(models)
        if self._drift is not None:
            self._drift.keep_only({name: state.versions for name, state in models.items()})
            if self._link is not None:  # other workers may have counts of a version that this one has not served
                for state in models.values():
                    for version in state.versions.values():
                        self._drift.of(version)

    async def _models_loaded(self) -> None:
        """Wait until all models are known and loaded; a worker opens its port afterwards."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOADING_SECONDS):
                while not self.draining and not self._discovery.loaded.is_set():
                    await asyncio.sleep(_CHECK_SECONDS)

    async def _follow(self, file: WatchedFile[Any]) -> None:
        while True:
            file.read()
            await asyncio.sleep(self.settings.poll_seconds)

    async def _tune_gc(self) -> None:
        """Exclude the loaded program from garbage collection, and collect rarely.

        The first halves the slowest latencies. The second saves a seventh of the time at 256 concurrent requests, whose
        objects are no garbage.
        """
        await self._discovery.loaded.wait()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    async def _error_response(self, request: Request, error: Exception) -> Response:
        """Return errors of FastAPI's routes in the form of the API that was called."""
        answer = error_response(
            _as_gateway_error(error),
            request.scope["state"].get("request_id", ""),
            self.settings.retry_after_seconds,
            error_form(request.url.path),
        )
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        return Response(answer.body, answer.status, headers, answer.content_type.decode("ascii"))


def create_app(settings: Settings, link: SupervisorLink | None = None, kinds: Sequence[Kind] = KINDS) -> Gateway:
    """Create the gateway. Call it in a running event loop: the back end connects to the model server, or loads models.

    Args:
        settings: all settings.
        link: the connection to the supervisor if this process is one of several workers.
        kinds: the kinds of models that are served natively.
    """
    return Gateway(settings, link, kinds)


def _batch_limits(settings: Settings) -> BatchLimits:
    limits = BatchLimits(settings.max_rows, settings.max_queue_rows, settings.calls_per_signature)
    return limits if settings.exports is None else replace(limits, shares=1)


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


def _as_gateway_error(error: Exception) -> GatewayError:
    match error:
        case GatewayError():
            return error
        case RequestValidationError():
            return errors.BadOption(errors.field_error(error.errors()[0]))
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "")
            return errors.MethodNotAllowed(f"this path has method {allowed}", allowed)
        case HTTPException(status_code=404):
            return errors.UnknownPath("there is no such path; /docs lists all paths")
        case _:
            return GatewayError("the gateway failed; its log has the reason under this request id")
