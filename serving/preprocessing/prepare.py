"""From a decoded picture to the model's input: background, crop, padding and size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serving.preprocessing import cut_out, drawing_segmentation
from serving.preprocessing.picture_files.header import PictureError
from serving.preprocessing.picture_files.plain_png import GreyPicture
from serving.preprocessing.recipe import ImageRecipe, Polarity
from serving.preprocessing.reduction import frame_size, reduction

Pixels = NDArray[np.uint8]

_MIN_CONTRAST = 10  # of 255: less is hardly visible; lens caps and codecs produce it
_MAX_SPECK = 32  # a drawing has more strong pixels than this part of its longer side
_MIN_GREY_PEAK = 4  # of 255, in a grey model's input: noise stays below it
_BLANK = "the picture is blank: all of its pixels have nearly the same colour"
_DARK = bytes(range(128))  # luminances below the middle


def prepare(picture: Image.Image, recipe: ImageRecipe, polarity: Polarity = "auto") -> Pixels:
    """Turn a decoded picture of mode L or RGB into the model's input, uint8 [height, width, channels].

    Raises:
        PictureError: The picture has no contrast, or an ``ink`` recipe finds no drawing.
    """
    size = (recipe.width, recipe.height)
    if picture.size != size and (times := reduction(picture.size, recipe)) > 1:
        picture = picture.reduce(times)
    if _is_blank(picture):
        raise PictureError(_BLANK)
    if picture.size == size and picture.mode == "L":
        unchanged = _unchanged(picture.tobytes(), recipe, polarity)
        if unchanged is not None:
            return unchanged
    if recipe.colour == "rgb":
        return _prepare_rgb(picture, recipe)
    return _prepare_drawing(picture, recipe, polarity)


def prepare_grey(picture: GreyPicture, recipe: ImageRecipe, polarity: Polarity) -> Pixels | None:
    """Return the pixels of a picture that passes unchanged; None for others.

    Raises:
        PictureError: The picture has no contrast.
    """
    if picture.size != (recipe.width, recipe.height):
        return None
    if picture.contrast < _MIN_CONTRAST:
        raise PictureError(_BLANK)
    return _unchanged(picture.content, recipe, polarity)


def _unchanged(content: bytes, recipe: ImageRecipe, polarity: Polarity) -> Pixels | None:
    """Return luminances of the model's size as they are, if they are what a grey recipe makes of them."""
    if recipe.colour != "grey" or polarity == "dark_on_light":
        return None
    if polarity == "auto" and not _has_dark_border(content, recipe.width):
        return None
    pixels = np.frombuffer(content, np.uint8).reshape(recipe.height, recipe.width, 1)
    return pixels if recipe.channels == 1 else np.repeat(pixels, recipe.channels, axis=2)


def _prepare_rgb(picture: Image.Image, recipe: ImageRecipe) -> Pixels:
    size, frame = (recipe.width, recipe.height), frame_size(*picture.size, recipe)
    framed = picture if picture.size == frame else ImageOps.pad(picture, frame)
    framed = framed if framed.size == size else framed.resize(size, Image.Resampling.BILINEAR)
    return _with_channels(np.asarray(framed), recipe.channels)


def _prepare_drawing(picture: Image.Image, recipe: ImageRecipe, polarity: Polarity) -> Pixels:
    if recipe.colour == "grey":
        drawing = _cut_out(picture, recipe, polarity)
        if drawing is None:
            drawing = _grey(picture, polarity)
            drawing = _crop(drawing) if recipe.crop else drawing
    else:
        light_background = None if polarity == "auto" else polarity == "dark_on_light"
        drawing = drawing_segmentation.separate(np.asarray(picture.convert("RGB"), np.float32), light_background)
        if np.count_nonzero(drawing > 127) <= max(drawing.shape) // _MAX_SPECK:
            raise PictureError("the picture is blank: no drawing stands out from its background")
        drawing = drawing_segmentation.crop(drawing) if recipe.crop else drawing
    pixels = _resize(_framed(drawing, recipe), (recipe.width, recipe.height))
    if recipe.colour == "ink":
        return _with_channels(_stretched(pixels), recipe.channels)
    if pixels.max() < _MIN_GREY_PEAK:  # the background is 0, and may be cropped away
        raise PictureError("the picture is blank: no contrast is left at the size of the model's input")
    return _with_channels(pixels, recipe.channels)


def _cut_out(picture: Image.Image, recipe: ImageRecipe, polarity: Polarity) -> NDArray[np.float32] | None:
    """Return the object of a photograph; None for other pictures, and where the caller states the background."""
    photograph = recipe.cut_out and polarity == "auto" and not cut_out.is_plain(picture)
    return cut_out.cut_out(picture) if photograph else None


def _is_blank(picture: Image.Image) -> bool:
    if picture.mode == "L":
        least, most = picture.getextrema()
        return most - least < _MIN_CONTRAST  # type: ignore[operator]
    return all(most - least < _MIN_CONTRAST for least, most in picture.getextrema())  # type: ignore[misc]


def _is_dark(border: NDArray[Any]) -> bool:
    return bool(np.count_nonzero(border > 127) * 2 < len(border))


def _has_dark_border(content: bytes, width: int) -> bool:
    """Do the same as :func:`_is_dark` for the bytes of a grey picture: three times as fast, for the hot path."""
    border = content[:width] + content[-width:] + content[width:-width:width] + content[2 * width - 1 : -width : width]
    return len(border.translate(None, _DARK)) * 2 < len(border)


def _grey(picture: Image.Image, polarity: Polarity) -> NDArray[np.float32]:
    """Compute the luminance 0…255, light on a background of 0, [height, width]."""
    grey = np.asarray(picture.convert("L"), np.float32)
    border = drawing_segmentation.border(grey)
    dark = _is_dark(border) if polarity == "auto" else polarity == "light_on_dark"
    if not dark:
        grey, border = 255 - grey, 255 - border
    background = min(float(np.median(border)), 200.0)
    drawing: NDArray[np.float32] = np.clip((grey - background) * (255 / (255 - background)), 0, 255)
    return drawing


def _crop(drawing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off the empty border. A row or column needs 0.4 % of lit pixels to count."""
    lit = drawing > 0.15 * max(float(drawing.max()), 1.0)
    rows = np.flatnonzero(lit.sum(axis=1) > 0.004 * lit.shape[1])
    columns = np.flatnonzero(lit.sum(axis=0) > 0.004 * lit.shape[0])
    if not len(rows) or not len(columns):
        return drawing
    return drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _framed(drawing: NDArray[np.float32], recipe: ImageRecipe) -> NDArray[np.float32]:
    height, width = drawing.shape
    wide, tall = frame_size(width, height, recipe, recipe.margin)
    top, left = (tall - height) // 2, (wide - width) // 2
    return np.pad(drawing, ((top, tall - height - top), (left, wide - width - left)))


def _resize(pixels: NDArray[Any], size: tuple[int, int]) -> Pixels:
    picture = Image.fromarray(pixels.astype(np.uint8))
    return np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR))


def _stretched(pixels: Pixels) -> Pixels:
    """Scale the strongest pixel to 255 again: thin lines fade when they are reduced."""
    return (pixels * (255 / max(int(pixels.max()), 16))).clip(0, 255).astype(np.uint8)


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.ndim == 2:
        return pixels[..., None] if channels == 1 else np.repeat(pixels[..., None], channels, axis=2)
    if channels == 3:
        return pixels
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
