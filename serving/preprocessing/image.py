"""From a picture as people have it to a model's input: the one decoder, used by training and by serving.

What happens to a picture stands on the model card as an :class:`ImageRecipe` and is applied in this order:

1. Decode (PNG, JPEG, WebP, BMP, GIF), see :mod:`serving.preprocessing.picture_files`. An animated picture is refused.
Of the
   metadata only the camera's orientation counts. 16-bit pictures are scaled to 8 bits by the range of their values
   (8 to 16 bits), CMYK and palette pictures become RGB, and transparency is laid onto white, or onto black if
   all that is visible is white itself. Alpha that is 0 everywhere is ignored.
2. Colour. ``rgb`` keeps the colours. ``grey`` takes the luminance, and ``ink`` the distance of each pixel from the
   ground's colour, evenly lit or not, so that a pen of any colour counts; both end light on a ground of 0, as
   Fashion-MNIST is, whichever way round the picture came: the border says what the ground is, or the caller does
   (:data:`Polarity`). For ``ink``, bars along whole sides are cut off first: a board's cell leaves them.
3. Crop to what is there, leaving a margin, and pad to the shape of the input with the ground (``rgb``: pad only, with
   black). Specks, faint lines and what only lies along the border are no part of a drawing in ``ink``.
4. Resize to the model's size, antialiased; ``ink`` is stretched to 255 again, for thin lines fade.

A ``grey`` or ``rgb`` picture that already has the model's size, channels and ground is passed on untouched. A large
picture is reduced as early as possible, tile by tile, so that memory holds one full-size copy at most. A picture
without contrast is refused.
"""

import math
import struct
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from serving.preprocessing import drawing_segmentation as ink
from serving.preprocessing.picture_files import convert, reader
from serving.preprocessing.picture_files.header import Header, PictureError, animated

__all__ = ["Header", "ImageRecipe", "PictureError", "Pixels", "Polarity", "cost", "decode", "header", "prepare", "read"]

Pixels = NDArray[np.uint8]
Polarity = Literal["auto", "light_on_dark", "dark_on_light"]

#: Most pixels of a picture once it is decoded; libjpeg reduces a large JPEG while it decodes.
MAX_PIXELS = 25_000_000
_JPEG_TIMES = 8  # a JPEG may state so many times more pixels, for libjpeg reduces it by up to 64
_MOST_BYTES = 8  # for each of the most pixels: what the decoder and the decoded picture may need
_WORKING_SIDE = 512  # larger pictures are reduced to no more than this before they are measured
_WIDEST = 4  # working sides: ``rgb`` pads a picture to a square of that side at most
_LEAST_CONTRAST = 10  # of 255: less can hardly be seen, and is what a covered lens or a codec makes of one colour
_LONGEST_SPECK = 32  # a drawing has more strong pixels than this part of its longer side
_LEAST_IN_GREY = 4  # of 255, in a grey model's input: less is what noise leaves
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_MOST_PLAIN_PARTS = 1000
_PLAIN_GREY = b"\x08\x00\x00\x00\x00"  # depth, colour type, compression, filter, interlace
# Measured bytes per pixel: of what :func:`prepare` holds at its peak, of the model's input, of a tile in conversion.
_INK_BYTES, _GREY_BYTES, _TARGET_BYTES, _TILE_BYTES = 54, 19, 12, 24
#: The key of a note for the sender in the ``info`` of a picture that was read.
NOTE = "note"
_DARK = bytes(range(128))  # luminances below the middle


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
        PictureError: empty, another format, truncated or corrupt, animated, too large (both before anything is
            decoded), or blank.
    """
    return prepare(read(data, max_pixels, recipe), recipe, polarity)


def read(data: bytes, max_pixels: int = MAX_PIXELS, recipe: ImageRecipe | None = None) -> Image.Image:
    """The decoded picture, upright, of mode L or RGB.

    With a recipe, a large one is reduced as the recipe would. The picture's ``info`` has a note for the sender under
    :data:`NOTE` if bytes are missing at the file's end.

    Raises:
        PictureError: see :func:`decode`.
    """
    plain = _plain_grey(data, max_pixels)
    if plain is not None:
        return plain
    stated = header(data, max_pixels, recipe)
    scaled = _scaled(stated, recipe)
    size = (stated.width, stated.height)
    try:
        decoded = reader.load(data, size, None if scaled == size else scaled)
        picture = convert.convert(decoded, _reduction(decoded.picture.size, recipe))
    except PictureError:
        raise
    except Exception as error:  # Pillow raises almost anything on hostile bytes
        raise PictureError(f"the picture is truncated or corrupt: {error or type(error).__name__}") from None
    if decoded.cut:
        picture.info[NOTE] = "the picture's file lacks its last bytes; all of its pixels are there"
    return picture


def header(data: bytes, max_pixels: int = MAX_PIXELS, recipe: ImageRecipe | None = None) -> Header:
    """Format and size of a picture, told from its header.

    Raises:
        PictureError: empty, another format, a damaged header, animated, or too large to be decoded.
    """
    stated = reader.header(data)
    width, height = stated.width, stated.height
    decoded = math.prod(_scaled(stated, recipe))
    if decoded > max_pixels or width * height > _JPEG_TIMES * max_pixels:
        raise PictureError(f"the picture has {width}×{height} pixels; at most {max_pixels} in all are accepted")
    needed = decoded * stated.pixel_bytes + stated.decoder_bytes
    if needed > _MOST_BYTES * max_pixels:
        raise PictureError(
            f"the picture has {width}×{height} pixels and needs {needed // 1_000_000} MB to be decoded; at most "
            f"{_MOST_BYTES * max_pixels // 1_000_000} MB are accepted. Send it smaller, or as a baseline JPEG"
        )
    if not width * height:
        raise PictureError(f"the picture cannot be read: its header says {width}×{height} pixels")
    if stated.animated:
        raise animated()
    return stated


def pixels(data: bytes) -> int:
    """How many pixels a picture's header says it has; 0 if the bytes are none.

    Raises:
        PictureError: they begin as only a PNG or JPEG does, and the header cannot be read.
    """
    if not reader.is_known(data):
        return 0
    try:
        stated = reader.header(data)
    except PictureError:
        if data.startswith(reader.NEVER_TEXT):
            raise
        return 0
    return stated.width * stated.height


def cost(data: bytes, recipe: ImageRecipe | None = None) -> int:
    """Bytes of memory that decoding takes at its peak, by the header; 0 if refused."""
    try:
        stated = reader.header(data)
    except PictureError:
        return 0
    scaled = _scaled(stated, recipe)
    times = _reduction(scaled, recipe)
    size = (-(-scaled[0] // times), -(-scaled[1] // times))
    reduced = math.prod(size)
    kept = math.prod(scaled) * stated.pixel_bytes
    if stated.converted_bytes:
        after = min(math.prod(scaled), convert.TILE**2) * _TILE_BYTES + stated.converted_bytes * reduced
    else:
        after = stated.pixel_bytes * reduced if times > 1 else 0
    decoding = len(data) + kept + max(stated.decoder_bytes, after)
    if recipe is None:
        return decoding
    target = _TARGET_BYTES * recipe.height * recipe.width
    if recipe.colour == "rgb":
        frame = _frame(*size, recipe)
        preparing = target + 4 * reduced + (0 if frame == size else 8 * math.prod(frame))
    elif recipe.colour == "ink":
        preparing = target + _INK_BYTES * reduced
    else:
        preparing = max(target, _GREY_BYTES * reduced)
    return max(decoding, preparing)


def _scaled(stated: Header, recipe: ImageRecipe | None) -> tuple[int, int]:
    """Width and height of the picture as libjpeg decodes it, others at full size."""
    times = 1 if recipe is None or stated.format != "JPEG" else _reducible((stated.width, stated.height), recipe)
    return -(-stated.width // times), -(-stated.height // times)


def _reducible(size: tuple[int, int], recipe: ImageRecipe) -> int:
    """How many times smaller libjpeg may make a JPEG while it decodes: 1, 2, 4 or 8.

    No side gets below the working side, unless :func:`_reduction` would be an even multiple anyway.
    """
    side = _working_side(recipe)
    times = min(min(size) // side, 8)
    anyway = 1 if recipe.colour == "rgb" else math.ceil(max(size) / side)
    return max(1 << max(times.bit_length() - 1, 0), min(anyway & -anyway, 8))


def _reduction(size: tuple[int, int], recipe: ImageRecipe | None) -> int:
    """How many times smaller a decoded picture is made before anything else."""
    if recipe is None:
        return 1
    side = _working_side(recipe)
    if recipe.colour == "rgb":
        return max(min(size) // side, math.ceil(max(size) / (_WIDEST * side)), 1)
    return math.ceil(max(size) / side)


def _working_side(recipe: ImageRecipe) -> int:
    return max(_WORKING_SIDE, 2 * max(recipe.height, recipe.width))


def _plain_grey(data: bytes, max_pixels: int) -> Image.Image | None:
    """A PNG of 8-bit grey and nothing else, without the general reader.

    That takes three times as long. None if the file holds anything else or is damaged: the general reader handles it.
    """
    if not data.startswith(_PNG_START) or data[24:29] != _PLAIN_GREY:
        return None
    size = struct.unpack_from(">II", data, 16)
    if not 0 < size[0] * size[1] <= max_pixels or zlib.crc32(data[12:29]).to_bytes(4, "big") != data[29:33]:
        return None
    place = 33  # behind the first chunk
    parts: list[bytes] = []
    while place + 12 <= len(data) and len(parts) < _MOST_PLAIN_PARTS:
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if data[end : end + 4] != zlib.crc32(data[place + 4 : end]).to_bytes(4, "big"):
            return None
        if name == b"IEND":
            try:
                return Image.frombytes("L", size, parts[0] if len(parts) == 1 else b"".join(parts), "zip", "L")
            except ValueError:
                return None
        if name != b"IDAT":
            return None
        parts.append(data[place + 8 : end])
        place = end + 4
    return None


def prepare(picture: Image.Image, recipe: ImageRecipe, polarity: Polarity = "auto") -> Pixels:
    """A decoded picture of mode L or RGB as the model's input, uint8 [height, width, channels].

    Raises:
        PictureError: the picture has no contrast, or a drawing is to be read and nothing is drawn.
    """
    size = (recipe.width, recipe.height)
    if picture.size != size and (times := _reduction(picture.size, recipe)) > 1:
        picture = picture.reduce(times)
    if _is_blank(picture):
        raise PictureError("the picture is blank: all of its pixels have nearly the same colour")
    if recipe.colour == "grey" and picture.size == size and picture.mode == "L" and polarity != "dark_on_light":
        content = picture.tobytes()  # not by np.asarray, which takes longer than all of this
        if polarity == "light_on_dark" or _has_dark_border(content, picture.width):
            pixels = np.frombuffer(content, np.uint8).reshape(recipe.height, recipe.width)
            return _with_channels(pixels, recipe.channels)
    if recipe.colour == "rgb":
        frame = _frame(*picture.size, recipe)
        framed = picture if picture.size == frame else ImageOps.pad(picture, frame)
        framed = framed if framed.size == size else framed.resize(size, Image.Resampling.BILINEAR)
        return _with_channels(np.asarray(framed), recipe.channels)
    if recipe.colour == "grey":
        drawing = _grey(picture, polarity)
        drawing = _crop(drawing) if recipe.crop else drawing
    else:
        light_ground = None if polarity == "auto" else polarity == "dark_on_light"
        drawing = ink.separate(np.asarray(picture.convert("RGB"), np.float32), light_ground)
        if np.count_nonzero(drawing > 127) <= max(drawing.shape) // _LONGEST_SPECK:
            raise PictureError("the picture is blank: nothing is drawn on it that can be told from its ground")
        drawing = ink.crop(drawing) if recipe.crop else drawing
    pixels = _resize(_framed(drawing, recipe), size)
    if recipe.colour == "ink":
        return _with_channels(_stretched(pixels), recipe.channels)
    if pixels.max() < _LEAST_IN_GREY:  # the ground is 0, and may be cropped away
        raise PictureError("the picture is blank: nothing is left of its contrast at the size of the model's input")
    return _with_channels(pixels, recipe.channels)


def _is_blank(picture: Image.Image) -> bool:
    if picture.mode == "L":
        least, most = picture.getextrema()
        return most - least < _LEAST_CONTRAST  # type: ignore[operator]
    return all(most - least < _LEAST_CONTRAST for least, most in picture.getextrema())  # type: ignore[misc]


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
