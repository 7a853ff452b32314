"""A call to the model: tensors that have been seen to fit the signature and what the model card says beyond it.

Every façade makes its calls here, so that nothing reaches the model server that one of them would have refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from serving.artifacts.model_card import TableRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadOption, BadPicture, BadTensor
from serving.gateway.inference.validation import check
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature
from serving.preprocessing import image as images

#: The signature of pictures as strings, decoded in the graph.
BYTES = "serving_bytes"
_BYTES_FORMATS = ("PNG", "JPEG")


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
    card = servable.card
    rows = check(signature, arrays, limits.rows, strict=card is not None, splits=splits)
    if card is not None:
        width = _width(servable, signature)
        if width is not None:
            _check_width(*width, arrays)
        if card.table is not None and signature is servable.offers.get("predict"):
            _check_columns(arrays, card.table)
        if card.image is not None and signature.name == BYTES:
            _check_pictures(arrays, limits.pixels)
    elif any(spec.is_string for spec in signature.inputs.values()):
        _check_strings(signature, arrays, limits.pixels)
    return ModelCall(signature, arrays, rows)


def cropped(servable: ModelVersion, call: ModelCall, outputs: Outputs) -> Outputs:
    """The outputs as wide as this call asked for: calls are merged, and a merged forecast is as wide as its widest."""
    width = _width(servable, call.signature)
    if width is None:
        return outputs
    columns = int(call.arrays[width[0]].max())
    return Outputs({name: array[:, :columns] for name, array in outputs.items()}, outputs.clean)


def parts(servable: ModelVersion, call: ModelCall, rows: int) -> Iterator[ModelCall]:
    """The call in parts of at most ``rows`` rows, with outputs as wide as its own."""
    arrays = dict(call.arrays)
    width = _width(servable, call.signature)
    if width is not None:
        arrays[width[0]] = np.full_like(arrays[width[0]], arrays[width[0]].max())
    for first in range(0, call.rows, rows):
        part = {name: array[first : first + rows] for name, array in arrays.items()}
        yield ModelCall(call.signature, part, min(rows, call.rows - first))


def _width(servable: ModelVersion, signature: Signature) -> tuple[str, int] | None:
    """The input that says how wide the outputs become, and the most it may say; None where there is none."""
    card = servable.card
    if card is not None and card.series is not None and signature is servable.offers.get("forecast"):
        return "horizon", card.series.max_horizon
    if card is not None and card.neighbours is not None and signature is servable.offers.get("neighbours"):
        return "k", card.neighbours.max_k
    return None


def _check_width(name: str, most: int, arrays: Arrays) -> None:
    outside = [int(value) for value in arrays[name] if not 1 <= value <= most]
    if outside:
        raise BadOption(f"{name} must be a whole number of 1 to {most}, not {outside[0]}")


def _check_columns(arrays: Arrays, recipe: TableRecipe) -> None:
    for column, values in zip(recipe.columns, arrays["features"].T, strict=True):
        low = np.float32(-np.inf if column.minimum is None else column.minimum)
        high = np.float32(np.inf if column.maximum is None else column.maximum)
        outside = values[(values < low) | (values > high)]
        if len(outside):
            unit = f" {column.unit}" if column.unit else ""
            raise BadTensor(f"column {column.name} must be {low:g} to {high:g}{unit}, but {outside[0]:g} is in it")


def _check_pictures(arrays: Arrays, max_pixels: int) -> None:
    """The graph decodes whatever its size is, so all of one request together are bounded."""
    pixels = 0
    for name, array in arrays.items():
        for number, data in enumerate(array.flat):
            which = f"input {name}, row {number}: " if array.size > 1 else ""
            try:
                picture = images.header(data, max_pixels)
            except images.PictureError as error:
                raise BadPicture(f"{which}{error}") from None
            if picture.format not in _BYTES_FORMATS:
                raise BadPicture(f"{which}a PNG or JPEG is expected here, not {picture.format}")
            pixels += picture.width * picture.height
    _check_together(pixels, max_pixels)


def _check_strings(signature: Signature, arrays: Arrays, max_pixels: int) -> None:
    """Nobody says whether a model without a card decodes its strings; those that are pictures are bounded too."""
    strings = [data for name, spec in signature.inputs.items() if spec.is_string for data in arrays[name].flat]
    try:
        pixels = sum(map(images.pixels, strings))
    except images.PictureError as error:
        raise BadPicture(str(error)) from None
    _check_together(pixels, max_pixels)


def _check_together(pixels: int, most: int) -> None:
    if pixels > most:
        raise BadPicture(f"the pictures have {pixels} pixels together; at most {most} in all are accepted")
