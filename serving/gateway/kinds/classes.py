"""Class probabilities, shared by image and signal models."""

from typing import Any

import numpy as np

from serving.artifacts.model_card import ModelCard
from serving.gateway.backends.base import Outputs
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadOption, BadUpstream
from serving.gateway.kinds.assessment import PROPERTIES, add_typicality, measure_typicality
from serving.gateway.kinds.base import MEASURED_ROWS, Measurements, ModelOutput
from serving.gateway.kinds.expected_signature import ExpectedTensor, tensor
from serving.gateway.kinds.schemas import INTEGER, NUMBER, TEXT, array_of, object_of

TOP_PARAMETER = {
    "name": "top",
    "in": "query",
    "description": "return only this many classes, the most probable first",
    "schema": {"type": "integer", "minimum": 1},
}
#: Schema of :func:`notes`.
NOTES = {"notes": array_of(TEXT, description="about the picture, such as missing last bytes")}
_PREDICTION = object_of(
    {
        "label": TEXT,
        "index": INTEGER,
        "probability": NUMBER,
        "probabilities": {"type": "object", "additionalProperties": NUMBER},
    },
    PROPERTIES,
)
_EXAMPLE = {
    "predictions": [
        {"label": "Sneaker", "index": 7, "probability": 0.98, "probabilities": {"Sneaker": 0.98, "Ankle boot": 0.02}}
    ]
}
#: Name, schema and example of the response, for the OpenAPI document.
RESPONSE = ("Classes", object_of({"predictions": array_of(_PREDICTION)}, NOTES), _EXAMPLE)
#: The same of pictures, which can be returned as the model read them.
PICTURE_RESPONSE = (
    "PictureClasses",
    object_of(
        {"predictions": array_of(_PREDICTION)},
        NOTES | {"inputs": array_of(TEXT, description="with `input=true`: the prepared pictures, PNG in base64")},
    ),
    _EXAMPLE,
)


def probabilities(card: ModelCard) -> dict[str, ExpectedTensor]:
    """Return the expected output of a classifier, float32 [N, classes]."""
    return {"probabilities": tensor(np.float32, len(card.labels) or None)}


def parse_top(text: str) -> int:
    """Parse the option ``top``: how many classes to return.

    Raises:
        BadOption: not a whole number above 0.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise BadOption(f"top must be a whole number above 0, not {text!r}")
    return int(text)


def write_classes(output: ModelOutput, top: int | None, subject: str) -> dict[str, Any]:
    """Return for each row the most probable class and the probabilities by label.

    With ``top`` the probabilities are those of the most probable classes alone, in descending order. If the version
    gives the typicality, each row has it; ``subject`` is what a row is.

    Raises:
        BadUpstream: the model has another number of classes than the card has labels.
        BadOutput: a probability is NaN or infinite.
    """
    labels = output.card.labels
    predictions = []
    for row in finite(output.outputs, "probabilities"):
        names = labels or tuple(map(str, range(len(row))))
        if len(names) != len(row):
            raise BadUpstream(f"output probabilities has {len(row)} classes, but the model card names {len(names)}")
        index = int(row.argmax())
        if top is None:
            by_label = dict(zip(names, row, strict=True))
        else:
            by_label = {names[best]: row[best] for best in np.argsort(-row, kind="stable")[:top].tolist()}
        predictions.append(
            {"label": names[index], "index": index, "probability": row[index], "probabilities": by_label}
        )
    add_typicality(predictions, output.outputs, output.card, subject)
    return {"predictions": predictions} | notes(output)


def notes(output: ModelOutput) -> dict[str, tuple[str, ...]]:
    """Return the notes for the caller under their key, or nothing."""
    return {"notes": output.notes} if output.notes else {}


def measure_classes(outputs: Outputs) -> Measurements:
    """Return the predicted class and its probability, if the call has probabilities."""
    if "probabilities" not in outputs:
        return {}
    rows = outputs["probabilities"][:MEASURED_ROWS]
    return {"class": rows.argmax(axis=1), "confidence": rows.max(axis=1)} | measure_typicality(outputs, MEASURED_ROWS)
