"""``/livez``, ``/readyz``, a model's ``/ready`` and ``/metrics``: the routes for operators and probes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from serving.gateway.api.models import ModelName
from serving.gateway.http.keys_file import Key
from serving.gateway.models.routing import ModelState, VersionChoice, choose


class Liveness(BaseModel):
    """The process is alive; models may be missing."""

    alive: bool = True


class Readiness(BaseModel):
    """Whether the gateway can answer inference requests."""

    ready: bool
    reasons: Annotated[list[str], Field(description="why it is not ready, one sentence each", examples=[[]])]
    notes: Annotated[
        list[str], Field(description="models that cannot answer, refused file edits, unreadable cards", examples=[[]])
    ]


class ModelReadiness(BaseModel):
    """A model that answers."""

    model: Annotated[str, Field(examples=["fashion_cnn"])]
    version: Annotated[int, Field(description="answers requests that name no version", examples=[1])]
    ready: bool = True


def router(
    models: Callable[[], Mapping[str, ModelState]],
    readiness: Callable[[Key | None], Awaitable[tuple[list[str], list[str]]]],
    metrics_page: Callable[[], Awaitable[bytes]],
) -> APIRouter:
    """Return the routes.

    Args:
        models: returns the current state of the models.
        readiness: returns the reasons against readiness, and notes, that the holder of a key may see.
        metrics_page: returns the metrics in Prometheus' text format.
    """
    routes = APIRouter(tags=["operations"])

    @routes.get("/livez", summary="Is the process alive?")
    async def livez() -> Liveness:
        return Liveness()

    @routes.get(
        "/readyz",
        summary="Can the gateway answer requests?",
        description="200 if it can answer for a model, else 503. A model that cannot answer is a note, and "
        "`/v1/models/MODEL/ready` is its own state; only a gateway that has just started waits for models that load. "
        "Needs no key; if the gateway has keys, it names models and files only to the holder of one.",
        responses={503: {"model": Readiness, "description": "Not ready; `reasons` says why."}},
    )
    async def readyz(request: Request, response: Response) -> Readiness:
        reasons, notes = await readiness(request.state.key)
        if reasons:
            response.status_code = 503
        return Readiness(ready=not reasons, reasons=reasons, notes=notes)

    @routes.get(
        "/v1/models/{model}/ready",
        summary="Can a model answer?",
        description="200 if a version answers requests that name none, else 503 with the reason.",
    )
    async def model_readiness(model: ModelName) -> ModelReadiness:
        return ModelReadiness(model=model, version=choose(models(), model, VersionChoice()).version)

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(await metrics_page(), media_type=CONTENT_TYPE_LATEST)

    return routes
