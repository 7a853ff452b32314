"""From a picture as people have it to a model's input: the one decoder, used by training and by serving.

What happens to a picture stands on the model card as an :class:`ImageRecipe` and is applied in this order:

1. Decode (PNG, JPEG, WebP, BMP, GIF). An animated picture is refused: which frame is meant is not ours to guess.
   16-bit pictures are scaled to 8 bits, CMYK and palette pictures become RGB, transparency is laid onto white (onto
   black, where all that is seen is white itself), and the camera's EXIF orientation is applied.
2. Colour. ``rgb`` keeps the colours. ``grey`` takes the luminance, and ``ink`` the distance of each pixel from the
   ground's colour, evenly lit or not, so that a pen of any colour counts; both end light on a ground of 0, as
   Fashion-MNIST is, whichever way round the picture came: the border says what the ground is, or the caller does
   (:data:`Polarity`). For ``ink``, bars along whole sides are cut off first: a board's cell leaves them.
3. Crop to what is there, leaving a margin, and pad to the shape of the input with the ground (``rgb``: pad only, with
   black). Specks, faint lines and what only lies along the border are no part of a drawing in ``ink``.
4. Resize to the model's size, antialiased; ``ink`` is stretched to 255 again, for thin lines fade.

A ``grey`` or ``rgb`` picture that already has the model's size, channels and ground is passed on untouched.
"""

import io
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from pydantic import BaseModel, ConfigDict, Field

from serving import ink

Pixels = NDArray[np.uint8]
Polarity = Literal["auto", "light_on_dark", "dark_on_light"]

MAX_PIXELS = 50_000_000
_WORKING_SIDE = 512  # larger pictures are reduced to no more than this before they are measured
_FORMATS: tuple[tuple[bytes, Callable[[io.BytesIO], Image.Image]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
)
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_NEVER_TEXT = (_FORMATS[0][0], _FORMATS[1][0])  # other formats begin as a word may
_PLAIN_GREY = b"\x08\x00\x00\x00\x00"  # depth, colour type, compression, filter, interlace
_DARK = bytes(range(128))  # luminances below the middle
_WHITE = 200  # of 255: a luminance that is hardly seen on white
_SAYS_ORIENTATION = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"})  # looking costs 8 µs


class PictureError(ValueError):
    """The bytes are not a picture that can be used; the message says why and what is expected."""


class ImageRecipe(BaseModel):
    """How a picture becomes a model's input, uint8 [height, width, channels]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: Literal[1, 3]
    colour: Literal["rgb", "grey", "ink"]
    crop: bool = False
    margin: float = Field(default=0.0, ge=0.0, lt=1.0, description="share of the cropped part's longer side")


def decode(data: bytes, recipe: ImageRecipe, polarity: Polarity = "auto", max_pixels: int = MAX_PIXELS) -> Pixels:
    """An encoded picture as the model's input, uint8 [height, width, channels].

    Raises:
        PictureError: empty, no known format, truncated or corrupt, animated, more than ``max_pixels`` pixels (told from
            the header, before anything is decoded), or blank where a drawing is to be read.
    """
    return prepare(read(data, max_pixels, recipe), recipe, polarity)


def read(data: bytes, max_pixels: int = MAX_PIXELS, recipe: ImageRecipe | None = None) -> Image.Image:
    """The decoded picture, upright, of mode L or RGB; a JPEG possibly reduced, where what the recipe makes of it stays
    as large and as good.

    Raises:
        PictureError: see :func:`decode`.
    """
    plain = _plain_grey(data, max_pixels)
    if plain is not None:
        return plain
    picture = opened(data, max_pixels)
    try:
        if recipe is not None and picture.format == "JPEG":
            times = _reducible(picture, recipe)
            picture.draft(None, (max(picture.width // times, 1), max(picture.height // times, 1)))
        picture.load()
        return _eight_bit(picture)
    except Exception as error:
        raise PictureError(f"the picture is truncated or corrupt: {error or type(error).__name__}") from None


def _reducible(jpeg: Image.Image, recipe: ImageRecipe) -> int:
    """How many times smaller the reader of JPEGs, who does it as he decodes, may make it: 1, 2, 4 or 8. No side below
    the working side; or where :func:`prepare` would reduce it anyway, an even part of that."""
    side = _working_side(recipe)
    times = min(min(jpeg.size) // side, 8)
    anyway = 1 if recipe.colour == "rgb" else math.ceil(max(jpeg.size) / side)
    return max(1 << max(times.bit_length() - 1, 0), min(anyway & -anyway, 8))


def _working_side(recipe: ImageRecipe) -> int:
    return max(_WORKING_SIDE, 2 * max(recipe.height, recipe.width))


def opened(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture of which the header alone has been read.

    Raises:
        PictureError: empty, no known format, an unreadable header, animated, or more than ``max_pixels`` pixels.
    """
    if not data:
        raise PictureError("the picture is empty (0 bytes); a PNG, JPEG, WebP, BMP or GIF is expected")
    opener = _opener(data)
    if opener is None:
        raise PictureError("the bytes are not a picture of a known format; PNG, JPEG, WebP, BMP or GIF is expected")
    try:
        picture = opener(io.BytesIO(data))
        animated = getattr(picture, "is_animated", False)
    except Exception as error:  # Pillow's readers raise almost anything on hostile bytes
        raise PictureError(f"the picture cannot be read: {error or type(error).__name__}") from None
    if picture.width * picture.height > max_pixels:
        raise PictureError(
            f"the picture has {picture.width}×{picture.height} pixels; at most {max_pixels} in all are accepted"
        )
    if animated:
        raise PictureError("the picture is animated; send one frame as a still picture")
    return picture


def pixels(data: bytes) -> int:
    """How many pixels a picture's header says it has; 0 where the bytes are none.

    Raises:
        PictureError: they begin as only a PNG or JPEG does, and the header cannot be read.
    """
    opener = _opener(data)
    if opener is None:
        return 0
    try:
        picture = opener(io.BytesIO(data))
    except Exception as error:  # Pillow's readers raise almost anything on hostile bytes
        if data.startswith(_NEVER_TEXT):
            raise PictureError(f"the picture cannot be read: {error or type(error).__name__}") from None
        return 0
    return picture.width * picture.height


def _plain_grey(data: bytes, max_pixels: int) -> Image.Image | None:
    """A PNG of 8-bit grey and nothing else, without the general reader, which takes three times as long. None where
    there is anything else in it, or anything wrong with it: that is for the general reader to say."""
    if not data.startswith(_PNG_START) or data[24:29] != _PLAIN_GREY:
        return None
    size = struct.unpack_from(">II", data, 16)
    if not 0 < size[0] * size[1] <= max_pixels:
        return None
    place, content = 33, b""  # behind the first chunk
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if data[end : end + 4] != zlib.crc32(data[place + 4 : end]).to_bytes(4, "big"):
            return None
        if name == b"IEND":
            try:
                return Image.frombytes("L", size, content, "zip", "L")
            except ValueError:
                return None
        if name != b"IDAT":
            return None
        content = content + data[place + 8 : end] if content else data[place + 8 : end]
        place = end + 4
    return None


def _opener(data: bytes) -> Callable[[io.BytesIO], Image.Image] | None:
    for magic, opener in _FORMATS:
        if data.startswith(magic):
            return opener
    return None


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Upright, mode L or RGB."""
    if not _SAYS_ORIENTATION.isdisjoint(picture.info) and picture.getexif().get(0x0112, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture
    if picture.mode in ("I;16", "I;16B", "I;16L", "I"):  # 16-bit grey
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "black" if _is_white(layer) else "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "LA") else "RGB")


def _is_white(layer: Image.Image) -> bool:
    """Whether next to all that can be seen of an RGBA picture would vanish on white."""
    seen = np.asarray(layer.convert("RGB").convert("L"))[np.asarray(layer.getchannel("A")) > 127]
    return bool(len(seen)) and bool(np.count_nonzero(seen < _WHITE) < 0.02 * len(seen))


def prepare(picture: Image.Image, recipe: ImageRecipe, polarity: Polarity = "auto") -> Pixels:
    """A decoded picture of mode L or RGB as the model's input, uint8 [height, width, channels].

    Raises:
        PictureError: a drawing is to be read, and nothing is drawn.
    """
    size = (recipe.width, recipe.height)
    if recipe.colour == "rgb":
        frame = _frame(*picture.size, recipe)
        if math.prod(frame) > MAX_PIXELS:  # it would be far larger than the picture
            picture = picture.reduce(max(frame) // _WORKING_SIDE)
            frame = _frame(*picture.size, recipe)
        framed = picture if picture.size == frame else ImageOps.pad(picture, frame)
        return _with_channels(_resize(np.asarray(framed), size), recipe.channels)
    if recipe.colour == "grey" and picture.size == size and picture.mode == "L" and polarity != "dark_on_light":
        content = picture.tobytes()  # not by np.asarray, which takes longer than all of this
        if polarity == "light_on_dark" or _has_dark_border(content, picture.width):
            pixels = np.frombuffer(content, np.uint8).reshape(recipe.height, recipe.width)
            return _with_channels(pixels, recipe.channels)
    if max(picture.size) > (side := _working_side(recipe)):
        picture = picture.reduce(math.ceil(max(picture.size) / side))
    if recipe.colour == "grey":
        drawing = _grey(picture, polarity)
        drawing = _crop(drawing) if recipe.crop else drawing
    else:
        light_ground = None if polarity == "auto" else polarity == "dark_on_light"
        drawing = ink.separate(np.asarray(picture.convert("RGB"), np.float32), light_ground)
        if not drawing.any():
            raise PictureError("the picture is blank: nothing is drawn on it that can be told from its ground")
        drawing = ink.crop(drawing) if recipe.crop else drawing
    pixels = _resize(_framed(drawing, recipe), size)
    return _with_channels(_stretched(pixels) if recipe.colour == "ink" else pixels, recipe.channels)


def _is_dark(border: NDArray[Any]) -> bool:
    return bool(np.count_nonzero(border > 127) * 2 < len(border))


def _has_dark_border(content: bytes, width: int) -> bool:
    """The same of a grey picture's bytes, for the hot path."""
    border = content[:width] + content[-width:] + content[width:-width:width] + content[2 * width - 1 : -width : width]
    return len(border.translate(None, _DARK)) * 2 < len(border)


def _grey(picture: Image.Image, polarity: Polarity) -> NDArray[np.float32]:
    """Luminance 0…255, light on a ground that is taken to 0, [height, width]."""
    grey = np.asarray(picture.convert("L"), np.float32)
    border = ink.border(grey)
    dark = _is_dark(border) if polarity == "auto" else polarity == "light_on_dark"
    if not dark:
        grey, border = 255 - grey, 255 - border
    ground = min(float(np.median(border)), 200.0)
    drawing: NDArray[np.float32] = np.clip((grey - ground) * (255 / (255 - ground)), 0, 255)
    return drawing


def _crop(drawing: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part that holds something; specks below a tenth of a percent of a row or column do not count."""
    there = drawing > 0.15 * max(float(drawing.max()), 1.0)
    rows = np.flatnonzero(there.sum(axis=1) > 0.004 * there.shape[1])
    columns = np.flatnonzero(there.sum(axis=0) > 0.004 * there.shape[0])
    if not len(rows) or not len(columns):
        return drawing
    return drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _frame(width: int, height: int, recipe: ImageRecipe, margin: float = 0.0) -> tuple[int, int]:
    """Width and height of the smallest frame in the shape of the model's input around so many pixels and a margin."""
    shape = recipe.width / recipe.height
    tall = max(height, width / shape) * (1 + 2 * margin)
    return round(tall * shape), round(tall)


def _framed(drawing: NDArray[np.float32], recipe: ImageRecipe) -> NDArray[np.float32]:
    height, width = drawing.shape
    wide, tall = _frame(width, height, recipe, recipe.margin)
    top, left = (tall - height) // 2, (wide - width) // 2
    return np.pad(drawing, ((top, tall - height - top), (left, wide - width - left)))


def _resize(pixels: NDArray[Any], size: tuple[int, int]) -> Pixels:
    picture = Image.fromarray(pixels.astype(np.uint8))
    return np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR))


def _stretched(pixels: Pixels) -> Pixels:
    """The strongest ink at 255 again: thin lines fade when they are made smaller."""
    return (pixels * (255 / max(int(pixels.max()), 16))).clip(0, 255).astype(np.uint8)


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.ndim == 2:
        return pixels[..., None] if channels == 1 else np.repeat(pixels[..., None], channels, axis=2)
    if channels == 3:
        return pixels
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
