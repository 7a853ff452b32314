"""Outputs to JSON: the native façade's answers.

Floats are written as the shortest text that reads back as the same float32. NaN and infinity, which JSON cannot carry,
are an error that names the output.
"""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import BadOption, BadOutput, BadUpstream
from serving.gateway.inference.predictor import PredictResult
from serving.tfs_api.tensors import is_float

_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def top(option: str | None) -> int | None:
    """The ``top`` parameter of a request: how many classes to name; None for all.

    Raises:
        BadOption: no whole number above 0.
    """
    if option is None:
        return None
    if not (option.isascii() and option.isdigit() and len(option) < 10 and int(option) > 0):
        raise BadOption(f"top must be a whole number above 0, not {option!r}")
    return int(option)


def classes(result: PredictResult, request_id: str, top: int | None) -> bytes:
    """``predictions``: for each picture the most probable class, and the probability of each class by label; with
    ``top`` those of the most probable ones alone, the most probable first."""
    card = result.servable.card
    labels = card.labels if card is not None else ()
    predictions = []
    for row in finite(result.outputs, "probabilities"):
        names = labels or tuple(map(str, range(len(row))))
        if len(names) != len(row):
            raise BadUpstream(f"output probabilities has {len(row)} classes, but the model card names {len(names)}")
        index = int(row.argmax())
        if top is None:
            probabilities = dict(zip(names, row, strict=True))
        else:
            probabilities = {names[place]: row[place] for place in np.argsort(-row, kind="stable")[:top].tolist()}
        predictions.append(
            {"label": names[index], "index": index, "probability": row[index], "probabilities": probabilities}
        )
    return _answer(result, request_id, {"predictions": predictions, **_notes(result)})


def values(result: PredictResult, request_id: str) -> bytes:
    """``predictions``: for each history the next value, for each table row the target's."""
    predictions = [{"value": value} for value in finite(result.outputs, "prediction")]
    return _answer(result, request_id, {"predictions": predictions, **_units(result)})


def embeddings(result: PredictResult, request_id: str) -> bytes:
    """``embeddings``: a vector for each picture, and how many ``dimensions`` it has."""
    vectors = np.ascontiguousarray(finite(result.outputs, "embedding"))
    return _answer(result, request_id, {"embeddings": vectors, "dimensions": vectors.shape[1], **_notes(result)})


def neighbours(result: PredictResult, request_id: str) -> bytes:
    """``neighbours``: for each picture the most similar items, the most similar first."""
    card = result.servable.card
    labels = card.labels if card is not None else ()
    count = int(result.call.arrays["k"].max())
    columns = [finite(result.outputs, name) for name in ("indices", "labels", "distance")]
    for name, column in zip(("indices", "labels", "distance"), columns, strict=True):
        if column.ndim != 2 or column.shape[1] != count:
            raise BadUpstream(f"output {name} has shape {list(column.shape)}; {count} neighbours were asked for")
    if labels and columns[1].size and not 0 <= columns[1].min() <= columns[1].max() < len(labels):
        raise BadUpstream(f"output labels names a class that is none of the {len(labels)} on the model card")
    answers = [
        [
            {"index": index, "label": labels[label] if labels else str(label), "distance": distance}
            for index, label, distance in zip(*row, strict=True)
        ]
        for row in zip(columns[0].tolist(), columns[1].tolist(), columns[2], strict=True)
    ]
    return _answer(result, request_id, {"neighbours": answers, **_notes(result)})


def forecasts(result: PredictResult, request_id: str) -> bytes:
    """``forecasts``: for each history the ``mean`` of each step, and where the model has intervals ``lower`` and
    ``upper``."""
    card = result.servable.card
    recipe = card.series if card is not None else None
    columns = steps(result)
    rows, horizon = columns["mean"].shape
    answer: dict[str, Any] = {
        "forecasts": [{name: column[row] for name, column in columns.items()} for row in range(rows)],
        "horizon": horizon,
        **_units(result),
    }
    if recipe is not None:
        answer["level"] = recipe.level
    answer["notes"] = card.notes if card is not None else ()
    return _answer(result, request_id, answer)


def steps(result: PredictResult) -> dict[str, NDArray[Any]]:
    """A forecast's ``mean`` [N, horizon], and where the model has intervals ``lower`` and ``upper``.

    Raises:
        BadUpstream: not as many steps as were asked for.
    """
    card = result.servable.card
    horizon = int(result.call.arrays["horizon"].max())
    has_level = card is not None and card.series is not None and card.series.level is not None
    columns = {}
    for name in ("mean", "lower", "upper") if has_level else ("mean",):
        column = finite(result.outputs, name)
        if column.ndim != 2 or column.shape[1] != horizon:
            raise BadUpstream(f"output {name} has shape {list(column.shape)}; {horizon} steps were asked for")
        columns[name] = np.ascontiguousarray(column)
    return columns


def finite(outputs: Outputs, name: str) -> NDArray[Any]:
    """An output that JSON can carry.

    Raises:
        BadOutput: NaN or infinity in it.
    """
    array = outputs[name]
    if not outputs.clean and is_float(array.dtype) and not np.isfinite(array).all():
        raise BadOutput(f"output {name} of the model holds NaN or infinity for this input")
    return array


def _notes(result: PredictResult) -> dict[str, tuple[str, ...]]:
    return {"notes": result.call.notes} if result.call.notes else {}


def _units(result: PredictResult) -> dict[str, str | None]:
    card = result.servable.card
    if card is not None and card.series is not None:
        return {"unit": card.series.unit, "step": card.series.step}
    if card is not None and card.table is not None:
        return {"target": card.table.target.name, "unit": card.table.target.unit}
    return {}


def _answer(result: PredictResult, request_id: str, content: dict[str, Any]) -> bytes:
    servable = result.servable
    head = {"model": servable.model, "version": servable.version, "request_id": request_id}
    return orjson.dumps(head | content, option=_NUMPY)
