"""Typicality of inputs, and the warning below the model card's threshold."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard
from serving.gateway.backends.base import Outputs
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadUpstream
from serving.gateway.kinds.expected_signature import Expected, tensor
from serving.gateway.kinds.schemas import NUMBER, TEXT

ASSESSED = "assessed"
TYPICALITY = "typicality"
#: Optional properties of each entry of a response.
PROPERTIES: dict[str, Any] = {
    TYPICALITY: NUMBER | {"description": "how like the training data the input is, above 0, at most 1"},
    "warning": TEXT | {"description": "a sentence, if the typicality is below the model card's threshold"},
}
#: The same for responses without an entry for each row.
ROWS_PROPERTIES: dict[str, Any] = PROPERTIES | {
    TYPICALITY: {"type": "array", "items": NUMBER, "description": "of each row; see the entries of `:predict`"}
}


def assessed(expected: Expected) -> Expected:
    """Return the signature that answers the same and the typicality."""
    return replace(expected, name=ASSESSED, outputs={**expected.outputs, TYPICALITY: tensor(np.float32)})


def add_typicality(entries: Sequence[dict[str, Any]], outputs: Outputs, card: ModelCard, subject: str) -> None:
    """Add ``typicality`` and ``warning`` to the entry of each row, if the version gives them.

    Args:
        entries: one for each row.
        outputs: the outputs of the call.
        card: the model card.
        subject: what a row is, like "picture".

    Raises:
        BadUpstream: the output has another number of rows. BadOutput: a value is NaN or infinite.
    """
    if card.typicality is None or TYPICALITY not in outputs:
        return
    values = finite(outputs, TYPICALITY)
    if values.ndim != 1 or len(values) != len(entries):
        raise BadUpstream(f"output typicality has shape {list(values.shape)}; {len(entries)} rows are expected")
    threshold = card.typicality.threshold
    for entry, value, number in zip(entries, values, values.tolist(), strict=True):
        entry[TYPICALITY] = value  # float32, which is written with fewer digits
        if number < threshold:
            entry["warning"] = f"This {subject} is unlike the training data: do not rely on the answer."


def typicality_of_rows(outputs: Outputs, card: ModelCard, rows: int, subject: str) -> dict[str, Any]:
    """Return ``typicality`` of each row and one ``warning``, for responses without an entry for each row."""
    entries: list[dict[str, Any]] = [{} for _ in range(rows)]
    add_typicality(entries, outputs, card, subject)
    if not entries or TYPICALITY not in entries[0]:
        return {}
    warned = sum("warning" in entry for entry in entries)
    found: dict[str, Any] = {TYPICALITY: [entry[TYPICALITY] for entry in entries]}
    if warned:
        which = f"This {subject} is" if rows == 1 else f"{warned} of {rows} {subject}s are"
        found["warning"] = f"{which} unlike the training data: do not rely on the answer."
    return found


def warned_rows(outputs: Outputs, card: ModelCard) -> int:
    """Return the number of rows below the threshold."""
    values = outputs.get(TYPICALITY)
    if card.typicality is None or values is None or values.ndim != 1:
        return 0
    threshold = card.typicality.threshold
    return sum(value < threshold for value in values.tolist())


def measure_typicality(outputs: Outputs, rows: int) -> dict[str, NDArray[Any]]:
    """Return the typicality of the first rows for drift."""
    return {TYPICALITY: outputs[TYPICALITY][:rows]} if TYPICALITY in outputs else {}
