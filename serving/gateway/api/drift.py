"""``GET /v1/models/…/drift``: how far requests and answers differ from the training data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from serving.gateway.api.models import LabelName, ModelName, VersionNumber
from serving.gateway.errors import UnknownModel
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.observability.drift import MIN_ROWS, WINDOW, Drift, DriftCounts, Quantity


class QuantityDrift(BaseModel):
    """One quantity. Bins lie between ``edges``; ``class`` has none, its bins are the labels."""

    psi: Annotated[float | None, Field(description="null if there are too few rows", examples=[0.03])]
    rows: Annotated[int, Field(description="rows that were measured", examples=[4210])]
    edges: list[float] | None
    expected: Annotated[list[float], Field(description="shares by bin, from the model card")]
    observed: Annotated[list[float], Field(description="shares by bin, of the measured rows")]


class ModelDrift(BaseModel):
    """Population stability index by quantity: below 0.1 as in training, above 0.25 very different."""

    model: str
    version: int
    window_seconds: Annotated[float, Field(description="the current window and the one before count")] = WINDOW
    min_rows: Annotated[int, Field(description="no index is given for fewer rows")] = MIN_ROWS
    quantities: dict[str, QuantityDrift]
    notes: Annotated[list[str], Field(description="what cannot be compared, and why")]


def router(
    models: Callable[[], Mapping[str, ModelState]],
    drift: Drift | None,
    other_workers: Callable[[], Awaitable[Sequence[Sequence[DriftCounts]]]],
) -> APIRouter:
    """Return the routes.

    Args:
        models: returns the current state of the models.
        drift: the statistics of this process; None if drift is off.
        other_workers: returns the counts of the other workers.
    """
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    async def compared(model: str, choice: VersionChoice) -> ModelDrift:
        version = choose(models(), model, choice)
        return compared_with_card(version, drift, await other_workers() if drift is not None else [])

    @routes.get("/{model}/drift", summary="Drift of the version that answers by default")
    async def get_drift(model: ModelName) -> ModelDrift:
        return await compared(model, VersionChoice())

    @routes.get("/{model}/versions/{version}/drift", summary="Drift of a version")
    async def get_version_drift(model: ModelName, version: VersionNumber) -> ModelDrift:
        return await compared(model, VersionChoice(version=version))

    @routes.get("/{model}/labels/{label}/drift", summary="Drift of a label's version")
    async def get_label_drift(model: ModelName, label: LabelName) -> ModelDrift:
        return await compared(model, VersionChoice(label=label))

    return routes


def compared_with_card(
    version: ModelVersion, drift: Drift | None, others: Sequence[Sequence[DriftCounts]]
) -> ModelDrift:
    """Compare a version's requests and answers with its card.

    Raises:
        UnknownModel: the version has no card.
    """
    if version.card is None:
        why = f": {version.card_problem}" if version.card_problem else ""
        raise UnknownModel(f"model {version.model} version {version.version} has no model card to compare with{why}")
    notes = []
    if not version.card.inputs:
        notes.append("The model card has no statistics of the training inputs.")
    if version.card.labels and version.card.predicted is None:
        notes.append("The model card has no statistics of the predicted classes.")
    quantities = {}
    if drift is not None:
        quantities = {name: _quantity(one) for name, one in drift.quantities(version, others).items()}
    else:
        notes.append("Drift is off: VITRINE_DRIFT_PER_SECOND is 0.")
    return ModelDrift(model=version.model, version=version.version, quantities=quantities, notes=notes)


def _quantity(one: Quantity) -> QuantityDrift:
    reference, counts = one.reference, one.counts
    return QuantityDrift(
        psi=one.psi,
        rows=one.rows,
        edges=None if reference.edges is None else reference.edges.tolist(),
        expected=list(reference.shares),
        observed=[count / max(sum(counts), 1) for count in counts],
    )
