"""Estimate the memory that a picture takes, from its header alone."""

import math

from serving.preprocessing.picture_files import convert, reader
from serving.preprocessing.picture_files.header import PictureError
from serving.preprocessing.recipe import ImageRecipe
from serving.preprocessing.reduction import decoded_size, frame_size, reduction

# Measured bytes per pixel at the peak of preparation, of the model's input, and of a tile during conversion.
_INK_BYTES, _GREY_BYTES, _TARGET_BYTES, _TILE_BYTES = 54, 19, 12, 24


def cost(data: bytes, recipe: ImageRecipe | None = None) -> int:
    """Return the peak memory of decoding and preparing a picture, in bytes; 0 if it will be refused."""
    try:
        stated = reader.header(data)
    except PictureError:
        return 0
    decoded = decoded_size(stated, recipe)
    times = reduction(decoded, recipe)
    size = (-(-decoded[0] // times), -(-decoded[1] // times))
    reduced = math.prod(size)
    kept = math.prod(decoded) * stated.pixel_bytes
    if stated.converted_bytes:
        after = min(math.prod(decoded), convert.TILE**2) * _TILE_BYTES + stated.converted_bytes * reduced
    else:
        after = stated.pixel_bytes * reduced if times > 1 else 0
    decoding = len(data) + kept + max(stated.decoder_bytes, after)
    return decoding if recipe is None else max(decoding, _preparing(size, recipe))


def _preparing(size: tuple[int, int], recipe: ImageRecipe) -> int:
    pixels = math.prod(size)
    target = _TARGET_BYTES * recipe.height * recipe.width
    if recipe.colour == "rgb":
        frame = frame_size(*size, recipe)
        return target + 4 * pixels + (0 if frame == size else 8 * math.prod(frame))
    if recipe.colour == "ink":
        return target + _INK_BYTES * pixels
    return max(target, _GREY_BYTES * pixels)
