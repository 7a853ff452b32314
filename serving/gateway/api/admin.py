"""``POST /v1/models/MODEL:promote``, ``:canary`` and ``:rollback``: the commands of the same names over HTTP.

A key must name the verb ``admin``. Without keys the setting ``admin`` allows them, on a loopback address only. A web
page may call them from the gateway's own origin or one of ``cors_origins``.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.artifacts import rollout
from serving.artifacts.registry import LABEL, STABLE, ModelRegistry
from serving.artifacts.rollout import CANARY, Moved
from serving.artifacts.routing_file import Percent, Sticky
from serving.gateway.api import small_body
from serving.gateway.api.models import ModelName
from serving.gateway.errors import GatewayError, MethodNotAllowed
from serving.gateway.http.change_permission import ChangePermission
from serving.gateway.http.keys_file import Key
from serving.gateway.http.paths import COLD_VERBS
from serving.gateway.models.exports_folder import ExportsFolder

_OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]

log = logging.getLogger("vitrine.admin")

Version = Annotated[int, Field(gt=0, lt=2**63, description="the version's number", examples=[3])]


class ChangeDocument(BaseModel):
    """Base of the bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Promotion(ChangeDocument):
    """The label to move, and its new version."""

    version: Version
    label: Annotated[str, Field(pattern=f"^{LABEL}$", description="stable is the live version")] = STABLE


class CanaryRollout(ChangeDocument):
    """The version to try, and its share of the requests that name no version."""

    version: Version
    percent: Annotated[Percent, Field(description="percentage of the requests", examples=[10])]
    sticky: Annotated[
        Sticky | None, Field(description="what keeps a caller on one version: key, header:NAME or cookie:NAME")
    ] = None


class Rollback(ChangeDocument):
    """A rollback has no options."""


class Change(BaseModel):
    """What has changed. Each gateway applies it within its poll interval, a second by default."""

    model: str
    version: Annotated[int, Field(description="the version that the label names now", examples=[3])]
    label: Annotated[str, Field(examples=["stable"])]
    before: Annotated[int | None, Field(description="the version that the label named before", examples=[2])]
    ended: Annotated[int | None, Field(description="the version whose canary or shadow has ended", examples=[None])]


Document = TypeVar("Document", bound=ChangeDocument)


def router(folder: ExportsFolder, permission: ChangePermission, deadline_seconds: float) -> APIRouter:
    """Return the routes; ``deadline_seconds`` is the time limit for a request's body."""
    routes = APIRouter(prefix="/v1/models", tags=["admin"])

    async def change(
        request: Request,
        model: str,
        verb: str,
        kind: type[Document],
        step: Callable[[ModelRegistry, Document], tuple[str, Moved]],
    ) -> Change:
        key: Key | None = request.state.key
        request.state.model, request.state.verb = model, verb  # for the metrics
        permission.check(request.headers, key, model)
        document = small_body.parse(kind, await small_body.read(request, deadline_seconds) or b"{}")
        by = f"key {key.id} ({key.name})" if key is not None else "a caller on this machine"
        sent = {"request_id": request.state.request_id, "by": by, "verb": verb, "model": model}
        sent |= document.model_dump(exclude_none=True)
        try:
            label, moved = await asyncio.to_thread(folder.change, model, lambda registry: step(registry, document))
        except GatewayError as error:
            log.warning("refused: %s", error.message, extra=sent)
            raise
        log.info("model %s: %s is version %s, was %s", model, label, moved.version, moved.before, extra=sent)
        return Change(model=model, version=moved.version, label=label, before=moved.before, ended=moved.ended)

    @routes.post(
        "/{model}:promote", summary="Point a label at a version", openapi_extra=_body(Promotion, {"version": 3})
    )
    async def promote(request: Request, model: ModelName) -> Change:
        """Verify the version's files and point a label at it. This ends its run as canary or shadow."""

        def step(registry: ModelRegistry, sent: Promotion) -> tuple[str, Moved]:
            return sent.label, rollout.promote(registry, model, sent.version, sent.label)

        return await change(request, model, "promote", Promotion, step)

    @routes.post(
        "/{model}:canary",
        summary="Send a share of the requests to a version",
        openapi_extra=_body(CanaryRollout, {"version": 3, "percent": 10}),
    )
    async def canary(request: Request, model: ModelName) -> Change:
        """Replace any canary of the model. `:rollback` ends it."""

        def step(registry: ModelRegistry, sent: CanaryRollout) -> tuple[str, Moved]:
            return CANARY, rollout.canary(registry, model, sent.version, sent.percent, sent.sticky)

        return await change(request, model, "canary", CanaryRollout, step)

    @routes.post("/{model}:rollback", summary="Return to the version before", openapi_extra=_body(Rollback, {}))
    async def rollback(request: Request, model: ModelName) -> Change:
        """End the canary. Without one, make the previously live version live again."""

        def step(registry: ModelRegistry, sent: Rollback) -> tuple[str, Moved]:
            return STABLE, rollout.rollback(registry, model)

        return await change(request, model, "rollback", Rollback, step)

    for verb in COLD_VERBS:  # otherwise GET would ask for a model of this name
        routes.add_api_route(f"/{{model}}:{verb}", _refuse, methods=_OTHER_METHODS, include_in_schema=False)
    return routes


async def _refuse(request: Request) -> None:
    raise MethodNotAllowed(f"{request.url.path} takes POST, not {request.method}", allowed="POST")


def _body(kind: type[BaseModel], example: dict[str, int]) -> dict[str, Any]:
    """Return what OpenAPI shows of a body that the route reads itself."""
    content = {"schema": kind.model_json_schema(), "examples": {"usual": {"value": example}}}
    return {"requestBody": {"content": {"application/json": content}}}
