"""``/livez``, ``/readyz``, ``/metrics``: for whoever runs the gateway."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from serving.gateway.http.keys_file import Key


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
    readiness: Callable[[Key | None], Awaitable[tuple[list[str], list[str]]]],
    metrics_page: Callable[[], Awaitable[bytes]],
) -> APIRouter:
    """Return the routes.

    Args:
        readiness: returns the reasons against readiness, and notes, that the holder of a key may see.
        metrics_page: returns the metrics in Prometheus' text format.
    """
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
        reasons, notes = await readiness(request.state.key)
        if reasons:
            response.status_code = 503
        return Readiness(ready=not reasons, reasons=reasons, notes=notes)

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(await metrics_page(), media_type=CONTENT_TYPE_LATEST)

    return routes
