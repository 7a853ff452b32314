"""Calls to a model: tensors that are valid for the signature and the model card.

Every protocol creates its calls here, so all of them apply the same checks before anything reaches the model server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadOption, BadPicture
from serving.gateway.inference.validation import check
from serving.gateway.kinds.image_input import check_total
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature
from serving.preprocessing import image


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Most rows and pixels of a request."""

    rows: int
    pixels: int


@dataclass(slots=True)
class ModelCall:
    """Valid inputs of a signature, notes for the client, and more of the request that the answer needs."""

    signature: Signature
    arrays: Arrays
    rows: int
    notes: tuple[str, ...] = ()
    request: Any = None


def validated_call(
    version: ModelVersion, signature: Signature, arrays: Arrays, limits: InputLimits, *, splits: bool = False
) -> ModelCall:
    """Check tensors and return the call.

    Without a card, NaN, infinity, empty tensors and inputs with different numbers of rows are accepted, as by
    TensorFlow Serving.

    Args:
        version: the version that the call is for.
        signature: one of its signatures.
        arrays: the tensors.
        limits: most rows and pixels.
        splits: accept more rows than the limit (:mod:`serving.gateway.inference.row_splitting`).

    Raises:
        BadTensor: the tensors do not fit the signature, or a value is out of its column's range.
        BadOption: a horizon is out of the card's range.
        BadPicture: an encoded picture is invalid or too large.
    """
    card, kind = version.card, version.kind
    rows = check(signature, arrays, limits.rows, strict=card is not None, splits=splits)
    if card is not None and kind is not None:
        width = version.widths.get(signature.name)
        if width is not None:
            _check_width(*width, arrays)
        kind.check(signature, arrays, card, limits.pixels)
    elif any(spec.is_string for spec in signature.inputs.values()):
        _check_strings(signature, arrays, limits.pixels)
    return ModelCall(signature, arrays, rows)


def cropped(version: ModelVersion, call: ModelCall, outputs: Outputs) -> Outputs:
    """Crop outputs to the width of this call. All forecasts of a merged call are as wide as the widest."""
    width = version.widths.get(call.signature.name)
    if width is None:
        return outputs
    columns = int(call.arrays[width[0]].max())
    return Outputs({name: array[:, :columns] for name, array in outputs.items()}, outputs.clean)


def parts(version: ModelVersion, call: ModelCall, rows: int) -> Iterator[ModelCall]:
    """Yield the call in parts of at most ``rows`` rows, with outputs as wide as the call's own."""
    arrays = dict(call.arrays)
    width = version.widths.get(call.signature.name)
    if width is not None:
        arrays[width[0]] = np.full_like(arrays[width[0]], arrays[width[0]].max())
    for first in range(0, call.rows, rows):
        part = {name: array[first : first + rows] for name, array in arrays.items()}
        yield ModelCall(call.signature, part, min(rows, call.rows - first))


def _check_width(name: str, most: int, arrays: Arrays) -> None:
    outside = [int(value) for value in arrays[name] if not 1 <= value <= most]
    if outside:
        raise BadOption(f"{name} must be a whole number of 1 to {most}, not {outside[0]}")


def _check_strings(signature: Signature, arrays: Arrays, max_pixels: int) -> None:
    """Limit the pixels of strings that are pictures: a model without a card may decode its strings."""
    strings = [data for name, spec in signature.inputs.items() if spec.is_string for data in arrays[name].flat]
    try:
        pixels = sum(map(image.pixels, strings))
    except image.PictureError as error:
        raise BadPicture(str(error)) from None
    check_total(pixels, max_pixels)
