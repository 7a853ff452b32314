"""Pictures to the model's input: encoded ones by the recipe on its card, arrays as they are."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import base64
from serving.gateway.codecs import large_json as large
from serving.gateway.codecs.body import ArrayBody, EncodedPictures, JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadOption, BadPicture, BadTensor, listed
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.models.signature import TensorSpec
from serving.preprocessing import image as images

_PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_SMALL_BYTES = 65_536
_SMALL_SIDE = 256
_NEIGHBOURS = 10


def polarity(option: str | None) -> images.Polarity:
    """The ``polarity`` parameter of a request.

    Raises:
        BadOption: it is none of the three.
    """
    match option:
        case None | "auto":
            return "auto"
        case "light_on_dark" | "dark_on_light":
            return option
    raise BadOption(f"polarity must be auto, light_on_dark or dark_on_light, not {option!r}")


def neighbours(option: str | None, most: int) -> int:
    """The ``k`` parameter of a request: how many similar items to name, 10 where it is not said.

    Raises:
        BadOption: no whole number of 1 to ``most``.
    """
    if option is None:
        return min(_NEIGHBOURS, most)
    if not (option.isascii() and option.isdigit() and len(option) < 10 and 1 <= int(option) <= most):
        raise BadOption(f"k must be a whole number of 1 to {most}, not {option!r}")
    return int(option)


@dataclass(slots=True)
class Rows:
    """The model's input, [N, H, W, C], and notes for the sender."""

    array: NDArray[Any]
    notes: tuple[str, ...] = ()


async def rows(
    payload: Payload,
    spec: TensorSpec,
    recipe: images.ImageRecipe,
    how: images.Polarity,
    *,
    max_pixels: int,
    max_rows: int,
    size: int,
    memory: Reservation,
) -> Rows:
    """The model's input.

    Small pictures are decoded here and now, large ones in a thread; ``size`` is that of the body.

    Raises:
        BadPicture: one cannot be read; where there are several the message says which.
        BadTensor: an array of a wrong rank.
        BadDocument: a JSON object of another form than ``{"b64": …}``.
    """
    if isinstance(payload, ArrayBody):
        return Rows(_array(payload.array, spec, recipe))
    if isinstance(payload, EncodedPictures):
        encoded = payload.encoded
    else:
        encoded = await large.aside(memory, size, _from_document, payload)
    if not 0 < len(encoded) <= max_rows:
        raise BadTensor(f"a request has 1 to {max_rows} pictures, not {len(encoded)}")
    if len(encoded) == 1 and is_small(encoded[0]):
        pixels, note = _decode(encoded[0], recipe, how, max_pixels)
        return Rows(pixels[None], (note,) if note else ())
    return await memory.run(_decode_all, encoded, recipe, how, max_pixels, memory)


def is_small(data: bytes) -> bool:
    """Whether a picture is decoded faster than it is handed to a thread: a PNG whose header says so. Other formats
    do not tell their size so plainly."""
    if len(data) > _SMALL_BYTES or not data.startswith(_PNG_HEADER) or len(data) < 24:
        return False
    width, height = struct.unpack_from(">II", data, 16)
    return bool(width <= _SMALL_SIDE and height <= _SMALL_SIDE)


def _from_document(document: JsonDocument) -> list[bytes]:
    if document.keys.keys() != {"b64"}:
        raise BadDocument(
            'a picture in JSON is {"b64": "…"} or {"b64": ["…", …]}, tensors are {"instances": …} or {"inputs": …}; '
            f"the keys sent are: {listed(document.keys)}"
        )
    value = document.keys["b64"]
    return [base64.picture(text) for text in value] if isinstance(value, list) else [base64.picture(value)]


def _array(array: NDArray[Any], spec: TensorSpec, recipe: images.ImageRecipe) -> NDArray[Any]:
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4:
        if recipe.colour == "ink" and not array.any(axis=(1, 2, 3)).all():
            raise BadPicture("an array of pictures has a blank one in it: all of its values are 0")
        return array
    raise BadTensor(
        f"an array of pictures is [N, height, width, channels], or [height, width, channels] for one, for {spec}; "
        f"this one has shape {list(array.shape)}"
    )


def _decode(
    data: bytes, recipe: images.ImageRecipe, how: images.Polarity, max_pixels: int
) -> tuple[images.Pixels, str | None]:
    """The pixels, and a note for the sender."""
    try:
        picture = images.read(data, max_pixels, recipe)
        return images.prepare(picture, recipe, how), picture.info.get(images.NOTE)
    except images.PictureError as error:
        raise BadPicture(str(error)) from None


def _decode_all(
    encoded: list[bytes], recipe: images.ImageRecipe, how: images.Polarity, max_pixels: int, memory: Reservation
) -> Rows:
    rows = np.empty((len(encoded), recipe.height, recipe.width, recipe.channels), np.uint8)
    notes = []
    for number, data in enumerate(encoded):
        which = f"picture {number + 1} of {len(encoded)}: " if len(encoded) > 1 else ""
        try:
            images.header(data, max_pixels, recipe)
            cost = images.cost(data, recipe)
            memory.hold(cost)
            rows[number], note = _decode(data, recipe, how, max_pixels)
            memory.release(cost)
        except (BadPicture, images.PictureError) as error:
            raise BadPicture(f"{which}{error}") from None
        if note:
            notes.append(which + note)
    return Rows(rows, tuple(notes))
