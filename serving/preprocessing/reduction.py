"""How far a large picture is reduced before preprocessing, and the frame that it is padded to."""

import math

from serving.preprocessing.picture_files.header import Header
from serving.preprocessing.recipe import ImageRecipe

_WORKING_SIDE = 512  # larger pictures are reduced to this side before preprocessing
_MAX_FRAME_SIDES = 4  # working sides: ``rgb`` pads a picture to a square of that side at most


def decoded_size(stated: Header, recipe: ImageRecipe | None) -> tuple[int, int]:
    """Width and height after decoding. libjpeg reduces a large JPEG; other formats decode at full size."""
    times = 1 if recipe is None or stated.format != "JPEG" else _jpeg_reduction((stated.width, stated.height), recipe)
    return -(-stated.width // times), -(-stated.height // times)


def _jpeg_reduction(size: tuple[int, int], recipe: ImageRecipe) -> int:
    """Return the factor by which libjpeg reduces a JPEG while it decodes: 1, 2, 4 or 8.

    No side becomes shorter than the working side, unless :func:`reduction` is an even multiple anyway.
    """
    side = _working_side(recipe)
    times = min(min(size) // side, 8)
    anyway = 1 if recipe.colour == "rgb" else math.ceil(max(size) / side)
    return max(1 << max(times.bit_length() - 1, 0), min(anyway & -anyway, 8))


def reduction(size: tuple[int, int], recipe: ImageRecipe | None) -> int:
    """Return the factor by which a decoded picture is reduced before all other steps."""
    if recipe is None:
        return 1
    side = _working_side(recipe)
    if recipe.colour == "rgb":
        return max(min(size) // side, math.ceil(max(size) / (_MAX_FRAME_SIDES * side)), 1)
    return math.ceil(max(size) / side)


def frame_size(width: int, height: int, recipe: ImageRecipe, margin: float = 0.0) -> tuple[int, int]:
    """Width and height of the smallest frame around a picture and its margin, in the shape of the model's input."""
    aspect = recipe.width / recipe.height
    tall = max(height, width / aspect) * (1 + 2 * margin)
    return round(tall * aspect), round(tall)


def _working_side(recipe: ImageRecipe) -> int:
    return max(_WORKING_SIDE, 2 * max(recipe.height, recipe.width))
