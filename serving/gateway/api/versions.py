"""``GET /v1/models/MODEL/versions``: every version, also those that are only on the disk, and their pictures.

``/v1/models/MODEL`` has TensorFlow Serving's keys alone, so this is a path of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from serving.artifacts.model_card import ModelCardError
from serving.gateway.api.drift import compared_with_card
from serving.gateway.api.models import ModelName, VersionNumber, known
from serving.gateway.errors import GatewayError, NotFound
from serving.gateway.http.change_permission import ChangePermission
from serving.gateway.models.exports_folder import ExportsFolder
from serving.gateway.models.routing import ModelState
from serving.gateway.observability.drift import Drift, DriftCounts
from serving.gateway.observability.feedback import LiveCounts, VersionKey

ON_DISK = "ON_DISK"
_MOST_ON_DISK = 50  # a model that is trained daily has hundreds
_IMMUTABLE = {
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}


class LiveFigures(BaseModel):
    """Figures from feedback, since the gateway started."""

    rows: Annotated[int, Field(description="predictions with feedback", examples=[250])]
    accuracy: Annotated[float | None, Field(description="share of right classes", examples=[0.92])]
    mean_absolute_error: Annotated[float | None, Field(description="of numbers, in the model's unit", examples=[None])]


class VersionDetails(BaseModel):
    """One version."""

    version: Annotated[int, Field(examples=[3])]
    state: Annotated[
        str,
        Field(
            description="the model server's state: START, LOADING, AVAILABLE, UNLOADING or END; ON_DISK: in the "
            "exports folder, and not loaded",
            examples=["AVAILABLE"],
        ),
    ]
    error: Annotated[str | None, Field(description="why it cannot be loaded, or its card cannot be read")] = None
    labels: Annotated[list[str], Field(description="labels that route to it now", examples=[["stable"]])]
    share: Annotated[float, Field(description="percentage of the requests that name no version", examples=[90])]
    shadow: Annotated[float, Field(description="percentage of those requests of which it gets a copy", examples=[0])]
    created: Annotated[datetime | None, Field(description="time of its training; null without a card")] = None
    quick: Annotated[bool, Field(description="whether its training was shortened, so that its metrics mean little")] = (
        False
    )
    stand_in: Annotated[str | None, Field(description="the data, if it is not the real data")] = None
    metrics: Annotated[dict[str, float], Field(examples=[{"test_accuracy": 0.906}])] = {}
    files: Annotated[
        list[str],
        Field(description="pictures of …/versions/N/files/NAME", examples=[["confusion.png", "history.png"]]),
    ] = []
    drift: Annotated[
        dict[str, float | None],
        Field(description="population stability index by quantity; null: too few rows", examples=[{"class": 0.02}]),
    ] = {}
    live: Annotated[LiveFigures | None, Field(description="null without feedback")] = None


class Administration(BaseModel):
    """Whether the caller may promote, try and roll back versions."""

    allowed: bool
    reason: Annotated[str | None, Field(description="why not", examples=[None])] = None


class ModelVersions(BaseModel):
    """All versions of a model, the newest first."""

    model: Annotated[str, Field(examples=["fashion_cnn"])]
    admin: Administration
    versions: list[VersionDetails]


def router(
    models: Callable[[], Mapping[str, ModelState]],
    folder: ExportsFolder,
    permission: ChangePermission,
    drift: Drift | None,
    other_workers: Callable[[], Awaitable[Sequence[Sequence[DriftCounts]]]],
    live_counts: Callable[[], Awaitable[Mapping[VersionKey, LiveCounts]]],
) -> APIRouter:
    """Return the routes.

    Args:
        models: returns the current state of the models.
        folder: the versions on the disk.
        permission: decides who may change versions.
        drift: the drift statistics of this process; None if drift is off.
        other_workers: returns the drift counts of the other workers.
        live_counts: returns the feedback by model and version.
    """
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    @routes.get("/{model}/versions", summary="All versions of a model")
    async def list_versions(request: Request, model: ModelName) -> ModelVersions:
        """Also lists the versions that are on the disk and not loaded, the newest 50 of them."""
        state = known(models(), model)
        details = await asyncio.to_thread(_details, state, folder)
        others = await other_workers() if drift is not None else []
        feedback = await live_counts()
        for one in details:
            counts = feedback.get((model, str(one.version)))
            if counts is not None:
                one.live = LiveFigures(
                    rows=counts.rows, accuracy=counts.accuracy, mean_absolute_error=counts.mean_absolute_error
                )
            version = state.versions.get(one.version)
            if drift is not None and version is not None and version.card is not None:
                quantities = compared_with_card(version, drift, others).quantities
                one.drift = {name: quantity.psi for name, quantity in quantities.items()}
        try:
            permission.check(request.headers, request.state.key, model)
            await asyncio.to_thread(folder.check_changeable)
            administration = Administration(allowed=True)
        except GatewayError as error:
            administration = Administration(allowed=False, reason=error.message)
        return ModelVersions(model=model, admin=administration, versions=details)

    @routes.get(
        "/{model}/versions/{version}/files/{name}",
        summary="A plot of a version, or its sprite of reference pictures",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}, "description": "The picture. It never changes."}},
    )
    async def get_file(
        model: ModelName,
        version: VersionNumber,
        name: Annotated[str, InPath(description="one of the version's `files`", examples=["history.png"])],
    ) -> Response:
        known(models(), model)
        content = await asyncio.to_thread(folder.picture, model, version, name)
        return Response(content, media_type="image/png", headers=_IMMUTABLE)

    return routes


def _details(state: ModelState, folder: ExportsFolder) -> list[VersionDetails]:
    """Return the versions that the model server reports, and the newest others on the disk."""
    on_disk = folder.versions(state.name)
    others = [number for number in on_disk if number not in state.states][-_MOST_ON_DISK:]
    return [_detail(state, number, folder, on_disk) for number in sorted({*state.states, *others}, reverse=True)]


def _detail(state: ModelState, number: int, folder: ExportsFolder, on_disk: Sequence[int]) -> VersionDetails:
    status, version = state.states.get(number), state.versions.get(number)
    error = status.error_message or status.error_code if status is not None and status.error_code != "OK" else None
    card = version.card if version is not None else None
    if version is not None:
        error = error or version.card_problem
    elif number in on_disk:
        try:
            card = folder.card(state.name, number)
        except (ModelCardError, NotFound, OSError) as problem:
            error = error or str(problem)
    unloaded = status is None or (status.state == "END" and status.error_code == "OK")
    details = VersionDetails(
        version=number,
        state=ON_DISK if status is None or (unloaded and number in on_disk) else status.state,
        error=error,
        labels=sorted(label for label, target in state.effective.items() if target == number),
        share=_share(state, number),
        shadow=state.shadow.percent if state.shadow is not None and state.shadow.version == number else 0,
        files=folder.pictures(state.name, number) if number in on_disk else [],
    )
    if card is not None:
        details.created, details.quick = card.created, card.training.quick
        details.stand_in, details.metrics = card.data.stand_in, card.metrics
    return details


def _share(state: ModelState, number: int) -> float:
    if state.canary is not None and state.canary.version == number:
        return state.canary.percent
    if state.default != number:
        return 0
    return 100 - state.canary.percent if state.canary is not None else 100
