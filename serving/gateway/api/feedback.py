"""``POST /v1/models/MODEL:feedback``: true labels of predictions, counted by version.

The request carries the prediction itself, so that any replica can count it. Items with the id of a request count once,
as far as the gateway remembers the id.
"""

import difflib
import json
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.artifacts.model_card import ModelCard
from serving.gateway.api import small_body
from serving.gateway.api.models import ModelName, known, stored_card
from serving.gateway.errors import BadDocument, NotFound, listed, shown
from serving.gateway.http.authentication import check_scope
from serving.gateway.http.keys_file import Key
from serving.gateway.http.paths import FEEDBACK
from serving.gateway.kinds.schemas import object_of
from serving.gateway.models.exports_folder import ExportsFolder
from serving.gateway.models.routing import ModelState
from serving.gateway.observability.feedback import FeedbackMetrics, LiveCounts
from serving.gateway.observability.request_log.entry import JSON_TYPE, Entry
from serving.gateway.observability.request_log.request_log import RequestLog

_MAX_BODY_BYTES = 1_000_000
_MAX_ITEMS = 1000
_MAX_STEPS = 10_000
_NUMBERS = ("series", "table")
_EXAMPLE = {"version": 2, "prediction": "Sneaker", "label": "Ankle boot", "request_id": "4f1c2a9be07d-1"}
_VALUE: dict[str, Any] = {
    "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "array", "items": {"type": "number"}}]
}


class FeedbackItem(BaseModel):
    """One prediction and what was true."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(gt=0, lt=2**63, description="the version that predicted", examples=[2])]
    prediction: Annotated[
        Any,
        Field(
            description="the predicted class, by label or index; of a series or table the value, or the values of a "
            "forecast from its first step on",
            json_schema_extra=_VALUE,
        ),
    ]
    label: Annotated[
        Any, Field(description="the true label or value, in the form of the prediction", json_schema_extra=_VALUE)
    ]
    request_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._:/+=@-]{1,128}$",
            description="id of the request that predicted; repeated feedback on it counts once",
        ),
    ] = None
    row: Annotated[int, Field(ge=0, lt=2**31, description="row of that request's answer")] = 0


class FeedbackBatch(BaseModel):
    """Several items; all of them are counted, or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    feedback: Annotated[list[FeedbackItem], Field(min_length=1, max_length=_MAX_ITEMS)]


class FeedbackCounted(BaseModel):
    """How many items were counted."""

    model: Annotated[str, Field(examples=["fashion_cnn"])]
    counted: Annotated[int, Field(description="items that were counted", examples=[1])]
    duplicates: Annotated[int, Field(description="items that had been counted before", examples=[0])]


def router(
    models: Callable[[], Mapping[str, ModelState]],
    folder: ExportsFolder,
    new_ids: Callable[[Sequence[str]], Awaitable[list[bool]]],
    counts: FeedbackMetrics,
    request_log: RequestLog | None,
    deadline_seconds: float,
) -> APIRouter:
    """Return the route.

    Args:
        models: returns the current state of the models.
        folder: has the cards of versions that are not loaded any more.
        new_ids: remembers ids, and returns for each whether it is new.
        counts: counters of this process.
        request_log: gets each counted item; None if there is no log.
        deadline_seconds: time limit for a request's body.
    """
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    @routes.post("/{model}:feedback", summary="Report true labels of predictions", openapi_extra=_documented_body())
    async def give_feedback(request: Request, model: ModelName) -> FeedbackCounted:
        """Count true labels of predictions: live accuracy by version, in `/versions` and on `/metrics`.

        Takes one item, or up to 1000 as `{"feedback": [...]}`. A key needs `predict` or `forecast`.
        """
        request.state.model, request.state.verb = model, FEEDBACK
        state = known(models(), model)
        _check_key(request.state.key, model)
        items = _items(await small_body.read(request, deadline_seconds, _MAX_BODY_BYTES))
        cards = {version: await _card(state, folder, version) for version in {item.version for item in items}}
        checked = [_counts(item, cards[item.version], where) for item, where in _located(items)]
        fresh = await _fresh(model, items)
        for number, (item, one, is_new) in enumerate(zip(items, checked, fresh, strict=True)):
            if is_new:
                counts.add(model, item.version, one)
                if request_log is not None:
                    request_log.offer(_entry(item, model, request.url.path, f"{request.state.request_id}-{number}"))
        return FeedbackCounted(model=model, counted=sum(fresh), duplicates=len(items) - sum(fresh))

    async def _fresh(model: str, items: Sequence[FeedbackItem]) -> list[bool]:
        """Return for each item whether it was not counted before; items without an id never were."""
        ids = [f"{model} {item.version} {item.row} {item.request_id}" for item in items if item.request_id is not None]
        answers = iter(await new_ids(ids) if ids else [])
        return [item.request_id is None or next(answers) for item in items]

    return routes


def _documented_body() -> dict[str, Any]:
    """Return what OpenAPI shows of a body that the route reads itself."""
    item = FeedbackItem.model_json_schema()
    items = {"type": "array", "minItems": 1, "maxItems": _MAX_ITEMS, "items": item}
    schema = {"oneOf": [item, object_of({"feedback": items})]}
    batch = {"feedback": [_EXAMPLE, _EXAMPLE | {"label": "Sneaker", "row": 1}]}
    examples = {"one": {"value": _EXAMPLE}, "several": {"value": batch}}
    return {"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": schema, "examples": examples}}}}


def _check_key(key: Key | None, model: str) -> None:
    if key is not None and not key.allows(model, "forecast"):
        check_scope(key, model, "predict")


def _items(body: bytes) -> list[FeedbackItem]:
    try:
        document = orjson.loads(body)
    except ValueError as error:
        raise BadDocument(f"the body must be a JSON object; {error}") from None
    if isinstance(document, dict) and "feedback" in document:
        return small_body.parse(FeedbackBatch, body).feedback
    return [small_body.parse(FeedbackItem, body)]


def _located(items: Sequence[FeedbackItem]) -> Iterator[tuple[FeedbackItem, str]]:
    """Yield each item with the beginning of its fields' names in messages."""
    for number, item in enumerate(items):
        yield item, f"feedback.{number}." if len(items) > 1 else ""


async def _card(state: ModelState, folder: ExportsFolder, version: int) -> ModelCard:
    """Return the card of a version, loaded or on the disk.

    Raises:
        NotFound: there is no such version, or it has no card.
    """
    loaded = state.versions.get(version)
    card = loaded.card if loaded is not None else await stored_card(folder, state.name, version)
    if card is not None:
        return card
    if loaded is not None:
        raise NotFound(f"model {state.name} version {version} has no model card, so its predictions cannot be checked")
    raise NotFound(f"model {state.name} has no version {version}; available: {listed(sorted(state.versions))}")


def _counts(item: FeedbackItem, card: ModelCard, where: str) -> LiveCounts:
    """Check an item against the model card.

    Raises:
        BadDocument: a class is unknown, or a number is none.
    """
    if card.labels:
        right = _class(item.prediction, card, f"{where}prediction") == _class(item.label, card, f"{where}label")
        return LiveCounts(correct=1) if right else LiveCounts(wrong=1)
    if card.kind not in _NUMBERS:
        raise BadDocument(f"model {card.model} has neither classes nor values, so no feedback can be counted")
    predicted, actual = _values(item.prediction, f"{where}prediction"), _values(item.label, f"{where}label")
    if len(predicted) != len(actual):
        raise BadDocument(f"{where}label has {len(actual)} values, but prediction has {len(predicted)}")
    errors = [abs(one - other) for one, other in zip(predicted, actual, strict=True)]
    return LiveCounts(measured=len(errors), absolute_error=sum(errors))


def _class(value: Any, card: ModelCard, name: str) -> int:
    labels = card.labels
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(labels):
        return value
    if isinstance(value, str):
        if value in labels:
            return labels.index(value)
        nearest = difflib.get_close_matches(value[:100], labels, 1)
        expected = f"the nearest is {nearest[0]!r}" if nearest else f"its classes are {listed(labels)}"
        raise BadDocument(f"{name} {shown(value)!r} is not a class of {card.model}; {expected}")
    raise BadDocument(
        f"{name} must be one of {len(labels)} classes, such as {labels[0]!r}, or an index from 0 to {len(labels) - 1}, "
        f"not {shown(json.dumps(value))}"
    )


def _values(value: Any, name: str) -> list[float]:
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= _MAX_STEPS or not all(map(_is_number, values)):
        raise BadDocument(f"{name} must be a finite number, or a list of 1 to {_MAX_STEPS} of them")
    return values


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    )


def _entry(item: FeedbackItem, model: str, path: str, id: str) -> Entry:
    body = orjson.dumps(item.model_dump(exclude_none=True, exclude={"request_id"}))
    return Entry(
        event="feedback",
        time=time.time(),
        request_id=item.request_id or "",
        model=model,
        version=item.version,
        label=None,
        verb=FEEDBACK,
        path=path,
        status=200,
        seconds=0.0,
        body=body,
        body_type=JSON_TYPE,
        body_bytes=len(body),
        id=id,
    )
