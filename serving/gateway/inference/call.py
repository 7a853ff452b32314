"""A call to the model: tensors that have been seen to fit the signature and what the model card says beyond it.

Every façade makes its calls here, so that nothing reaches the model server that one of them would have refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadOption, BadPicture
from serving.gateway.inference.validation import check
from serving.gateway.kinds.pictures import check_total
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature
from serving.preprocessing import image as images


@dataclass(frozen=True, slots=True)
class InputLimits:
    """The most of what a request may hold."""

    rows: int
    pixels: int


@dataclass(slots=True)
class ModelCall:
    """What is to be sent: validated inputs and the signature that they fit.

    ``notes`` are for the sender.
    """

    signature: Signature
    arrays: Arrays
    rows: int
    notes: tuple[str, ...] = ()


def fitting(
    servable: ModelVersion, signature: Signature, arrays: Arrays, limits: InputLimits, *, splits: bool = False
) -> ModelCall:
    """A call of these tensors.

    Without a card, NaN, infinity, empty tensors and inputs of different numbers of rows are accepted, as by TensorFlow
    Serving. ``splits`` is whether the call may have more rows than the limit; see
    :mod:`serving.gateway.inference.row_splitting`.

    Raises:
        BadTensor: they do not fit the signature, or a column's range. BadOption: a horizon is out of the card's range.
        BadPicture: an encoded picture is none, or too large.
    """
    card, kind = servable.card, servable.kind
    rows = check(signature, arrays, limits.rows, strict=card is not None, splits=splits)
    if card is not None and kind is not None:
        width = servable.widths.get(signature.name)
        if width is not None:
            _check_width(*width, arrays)
        kind.check(signature, arrays, card, limits.pixels)
    elif any(spec.is_string for spec in signature.inputs.values()):
        _check_strings(signature, arrays, limits.pixels)
    return ModelCall(signature, arrays, rows)


def cropped(servable: ModelVersion, call: ModelCall, outputs: Outputs) -> Outputs:
    """Return the outputs as wide as this call asks: a merged forecast is as wide as its widest."""
    width = servable.widths.get(call.signature.name)
    if width is None:
        return outputs
    columns = int(call.arrays[width[0]].max())
    return Outputs({name: array[:, :columns] for name, array in outputs.items()}, outputs.clean)


def parts(servable: ModelVersion, call: ModelCall, rows: int) -> Iterator[ModelCall]:
    """Yield the call in parts of at most ``rows`` rows, with outputs as wide as the call's own."""
    arrays = dict(call.arrays)
    width = servable.widths.get(call.signature.name)
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
        pixels = sum(map(images.pixels, strings))
    except images.PictureError as error:
        raise BadPicture(str(error)) from None
    check_total(pixels, max_pixels)
