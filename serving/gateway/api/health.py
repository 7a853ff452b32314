"""``/livez``, ``/readyz`` and ``/metrics``: the routes for operators and probes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from serving.gateway.http.keys_file import Key


class Liveness(BaseModel):
    """The process is alive; models may be missing."""

    alive: bool = True


class Readiness(BaseModel):
    """Whether the gateway can answer inference requests."""

    ready: bool
    reasons: Annotated[list[str], Field(description="why it is not ready, one sentence each", examples=[[]])]
    notes: Annotated[list[str], Field(description="refused file edits and unreadable model cards", examples=[[]])]


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
        summary="Can the gateway answer requests?",
        description="200 if every configured model has an AVAILABLE version, else 503. Needs no key; if the gateway "
        "has keys, it names models and files only to the holder of one.",
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
