"""Pictures to an image model's input tensor: encoded ones by the recipe on its card, arrays as they are."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard
from serving.gateway.backends.base import Arrays
from serving.gateway.codecs import base64
from serving.gateway.codecs.body import ArrayBody, EncodedPictures, JsonDocument, Payload
from serving.gateway.codecs.offload import offload
from serving.gateway.errors import BadDocument, BadOption, BadPicture, BadTensor, listed
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.kinds.base import ModelInput, ReadContext
from serving.preprocessing import image
from serving.preprocessing.image import ImageRecipe, Pixels, Polarity

_PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_SMALL_BYTES = 65_536
_SMALL_SIDE = 256
_GRAPH_FORMATS = ("PNG", "JPEG")


def parse_polarity(text: str) -> Polarity:
    """Parse the option ``polarity``.

    Raises:
        BadOption: it is none of the three values.
    """
    match text:
        case "auto" | "light_on_dark" | "dark_on_light":
            return text
    raise BadOption(f"polarity must be auto, light_on_dark or dark_on_light, not {text!r}")


def image_recipe(card: ModelCard) -> ImageRecipe:
    """Return the card's section; versions without it do not offer the verbs."""
    assert card.image is not None
    return card.image


async def read_pictures(payload: Payload, polarity: Polarity, context: ReadContext) -> ModelInput:
    """Return ``image``, uint8 [N, H, W, C], and notes on the pictures.

    A single small picture is decoded in the event loop, others in a thread.

    Raises:
        BadPicture: a picture cannot be read; the message says which one of several.
        BadTensor: an array has the wrong rank, or the request has too many pictures.
        BadDocument: a JSON object is not ``{"b64": …}``.
    """
    recipe = image_recipe(context.card)
    if isinstance(payload, ArrayBody):
        return ModelInput({"image": _array(payload.array, context, recipe)})
    memory = context.memory
    if isinstance(payload, EncodedPictures):
        encoded = payload.encoded
    else:
        encoded = await offload(memory, context.body_bytes, _from_document, payload)
    if not 0 < len(encoded) <= context.max_rows:
        raise BadTensor(f"a request has 1 to {context.max_rows} pictures, not {len(encoded)}")
    if len(encoded) == 1 and is_small(encoded[0]):
        pixels, note = _decode(encoded[0], recipe, polarity, context.max_pixels)
        return ModelInput({"image": pixels[None]}, (note,) if note else ())
    return await memory.run(_decode_all, encoded, recipe, polarity, context.max_pixels, memory)


def is_small(data: bytes) -> bool:
    """Return whether a picture is a PNG so small that decoding costs less than a switch to a thread."""
    if len(data) > _SMALL_BYTES or not data.startswith(_PNG_HEADER) or len(data) < 24:
        return False
    width, height = struct.unpack_from(">II", data, 16)
    return bool(width <= _SMALL_SIDE and height <= _SMALL_SIDE)


def check_encoded(arrays: Arrays, max_pixels: int) -> None:
    """Refuse strings that are not PNG or JPEG, or that have too many pixels together.

    The graph decodes a picture of any size, so the limit is on all pictures of a request together.

    Raises:
        BadPicture: the message says which one.
    """
    pixels = 0
    for name, array in arrays.items():
        for number, data in enumerate(array.flat):
            which = f"input {name}, row {number}: " if array.size > 1 else ""
            try:
                picture = image.header(data, max_pixels)
            except image.PictureError as error:
                raise BadPicture(f"{which}{error}") from None
            if picture.format not in _GRAPH_FORMATS:
                raise BadPicture(f"{which}this signature takes PNG or JPEG, not {picture.format}")
            pixels += picture.width * picture.height
    check_total(pixels, max_pixels)


def check_total(pixels: int, most: int) -> None:
    """Refuse more pixels in one request than one picture may have.

    Raises:
        BadPicture: there are more.
    """
    if pixels > most:
        raise BadPicture(f"the pictures have {pixels} pixels together; at most {most} in all are accepted")


def _from_document(document: JsonDocument) -> list[bytes]:
    if document.keys.keys() != {"b64"}:
        raise BadDocument(
            'a picture in JSON is {"b64": "…"} or {"b64": ["…", …]}, tensors are {"instances": …} or {"inputs": …}; '
            f"the keys sent are: {listed(document.keys)}"
        )
    value = document.keys["b64"]
    return [base64.picture(text) for text in value] if isinstance(value, list) else [base64.picture(value)]


def _array(array: NDArray[Any], context: ReadContext, recipe: ImageRecipe) -> NDArray[Any]:
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4:
        if recipe.colour == "ink" and not array.any(axis=(1, 2, 3)).all():
            raise BadPicture("a picture of the array is blank: all of its values are 0")
        return array
    raise BadTensor(
        "an array of pictures is [N, height, width, channels], or [height, width, channels] for one, for "
        f"{context.signature.inputs['image']}; this one has shape {list(array.shape)}"
    )


def _decode(data: bytes, recipe: ImageRecipe, polarity: Polarity, max_pixels: int) -> tuple[Pixels, str | None]:
    """Return the pixels, and a note for the caller."""
    try:
        return image.decode_with_note(data, recipe, polarity, max_pixels)
    except image.PictureError as error:
        raise BadPicture(str(error)) from None


def _decode_all(
    encoded: list[bytes], recipe: ImageRecipe, polarity: Polarity, max_pixels: int, memory: Reservation
) -> ModelInput:
    rows = np.empty((len(encoded), recipe.height, recipe.width, recipe.channels), np.uint8)
    notes = []
    for number, data in enumerate(encoded):
        which = f"picture {number + 1} of {len(encoded)}: " if len(encoded) > 1 else ""
        try:
            image.header(data, max_pixels, recipe)
            cost = image.cost(data, recipe)
            memory.hold(cost)
            rows[number], note = _decode(data, recipe, polarity, max_pixels)
            memory.release(cost)
        except (BadPicture, image.PictureError) as error:
            raise BadPicture(f"{which}{error}") from None
        if note:
            notes.append(which + note)
    return ModelInput({"image": rows}, tuple(notes))
