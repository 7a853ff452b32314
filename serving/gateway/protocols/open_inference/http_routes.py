"""Routes of the Open Inference Protocol besides inference: health, metadata, configuration, statistics, index."""

from fastapi import APIRouter, Request
from fastapi import Response as FastAPIResponse
from pydantic import ValidationError

from serving.gateway.api import small_body
from serving.gateway.api.models import ModelName, VersionNumber
from serving.gateway.errors import BadDocument
from serving.gateway.protocols.open_inference.documents import (
    ModelConfiguration,
    ModelMetadata,
    ModelReady,
    RepositoryEntry,
    RepositoryQuery,
    ServerLive,
    ServerMetadata,
    ServerReady,
    StatisticsList,
)
from serving.gateway.protocols.open_inference.model_reports import ModelReports

_QUERY = {"schema": RepositoryQuery.model_json_schema(), "examples": {"usual": {"value": {"ready": True}}}}


def router(reports: ModelReports, deadline_seconds: float) -> APIRouter:
    """Return the routes; ``deadline_seconds`` is the time limit for a request's body."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @routes.get("", summary="Metadata of the server")
    async def server_metadata() -> ServerMetadata:
        return ServerMetadata()

    @routes.get("/health/live", summary="Is the process alive?")
    async def server_live() -> ServerLive:
        return ServerLive()

    @routes.get(
        "/health/ready",
        summary="Can the gateway answer requests?",
        responses={503: {"model": ServerReady, "description": "Not ready; `/readyz` says why."}},
    )
    async def server_ready(response: FastAPIResponse) -> ServerReady:
        ready = reports.is_ready()
        if not ready:
            response.status_code = 503
        return ServerReady(ready=ready)

    @routes.get("/models/stats", summary="Statistics of all models")
    async def all_statistics(request: Request) -> StatisticsList:
        return await reports.statistics(request.state.key, "", None)

    _add_model_routes(routes, reports)
    _add_version_routes(routes, reports)

    @routes.post(
        "/repository/index",
        summary="States of all models and versions",
        openapi_extra={"requestBody": {"content": {"application/json": _QUERY}}},
    )
    async def repository_index(request: Request) -> list[RepositoryEntry]:
        body = await small_body.read(request, deadline_seconds)
        try:
            query = RepositoryQuery.model_validate_json(body or b"{}")
        except ValidationError:
            raise BadDocument('the body is a JSON object such as {"ready": true}, or empty') from None
        return reports.index(request.state.key, query.ready)

    @routes.post("/repository/models/{model}/load", include_in_schema=False)
    @routes.post("/repository/models/{model}/unload", include_in_schema=False)
    async def load_or_unload(model: ModelName) -> None:
        reports.refuse_loading()

    return routes


def _add_model_routes(routes: APIRouter, reports: ModelReports) -> None:
    @routes.get("/models/{model}", summary="Tensors of a model")
    async def model_metadata(model: ModelName) -> ModelMetadata:
        return reports.metadata(model, None)

    @routes.get("/models/{model}/ready", summary="Is a model ready?")
    async def model_ready(model: ModelName) -> ModelReady:
        reports.check_ready(model, None)
        return ModelReady(name=model)

    @routes.get("/models/{model}/config", summary="Configuration of a model")
    async def model_config(model: ModelName) -> ModelConfiguration:
        return reports.config(model, None)

    @routes.get("/models/{model}/stats", summary="Statistics of a model's versions")
    async def model_statistics(request: Request, model: ModelName) -> StatisticsList:
        return await reports.statistics(request.state.key, model, None)


def _add_version_routes(routes: APIRouter, reports: ModelReports) -> None:
    @routes.get("/models/{model}/versions/{version}", summary="Tensors of a version")
    async def model_version_metadata(model: ModelName, version: VersionNumber) -> ModelMetadata:
        return reports.metadata(model, version)

    @routes.get("/models/{model}/versions/{version}/ready", summary="Is a version ready?")
    async def model_version_ready(model: ModelName, version: VersionNumber) -> ModelReady:
        reports.check_ready(model, version)
        return ModelReady(name=model)

    @routes.get("/models/{model}/versions/{version}/config", summary="Configuration of a version")
    async def model_version_config(model: ModelName, version: VersionNumber) -> ModelConfiguration:
        return reports.config(model, version)

    @routes.get("/models/{model}/versions/{version}/stats", summary="Statistics of a version")
    async def model_version_statistics(request: Request, model: ModelName, version: VersionNumber) -> StatisticsList:
        return await reports.statistics(request.state.key, model, version)
