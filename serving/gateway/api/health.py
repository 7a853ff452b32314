"""``/livez``, ``/readyz``, ``/metrics``: for whoever runs the gateway."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from serving.gateway.http.keys_file import Key
from serving.gateway.observability.metrics import GatewayMetrics


class Liveness(BaseModel):
    """The process answers; nothing more is said."""

    alive: bool = True


class Readiness(BaseModel):
    """Whether requests can be answered."""

    ready: bool
    reasons: Annotated[list[str], Field(description="why not, one sentence each", examples=[[]])]
    notes: Annotated[
        list[str], Field(description="edits that were refused and model cards that cannot be read", examples=[[]])
    ]


def router(
    reasons_against: Callable[[Key | None], list[str]],
    notes: Callable[[Key | None], list[str]],
    metrics: GatewayMetrics,
) -> APIRouter:
    """The routes. ``reasons_against`` says why the gateway is not ready now, ``notes`` what else is amiss, each to who
    shows that key."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/livez", summary="Is the process alive?")
    async def livez() -> Liveness:
        return Liveness()

    @routes.get(
        "/readyz",
        summary="Can requests be answered?",
        description="200 where every configured model has an AVAILABLE version, as the model server says; else 503. "
        "Needs no key; where keys are needed, models and files are named only to who shows one.",
        responses={503: {"model": Readiness, "description": "Not ready; `reasons` says why."}},
    )
    async def readyz(request: Request, response: Response) -> Readiness:
        key: Key | None = request.state.key
        reasons = reasons_against(key)
        if reasons:
            response.status_code = 503
        return Readiness(ready=not reasons, reasons=reasons, notes=notes(key))

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return routes
