"""From an encoded picture to a model's input: the one decoder, used by training and serving.

The model card holds an :class:`ImageRecipe`. The steps, in order:

1. Decode (PNG, JPEG, WebP, BMP, GIF), see :mod:`serving.preprocessing.picture_files`. Animated pictures are refused.
   Of the metadata only the camera's orientation counts. 16-bit pictures are scaled to 8 bits by the range of their
   values (8 to 16 bits). CMYK and palette pictures become RGB. Transparency becomes white, or black if everything
   visible is white. Alpha that is 0 everywhere is ignored.
2. Colour. ``rgb`` keeps the colours. ``grey`` takes the luminance. ``ink`` takes each pixel's distance from the
   background colour, evenly lit or not, so that a pen of any colour counts. ``grey`` and ``ink`` end light on a
   background of 0, like Fashion-MNIST: the border decides which side is the background, unless the caller states it
   (:data:`Polarity`). ``ink`` first cuts off bars along whole sides, which a board's cell leaves.
3. Crop to the content with a margin, and pad to the input's shape with the background (``rgb``: pad only, with black).
   A ``grey`` recipe with ``cut_out`` takes a photograph's object out of its background instead, and stretches its
   contrast; a border of one luminance shows a catalogue picture, which passes as before (:mod:`~.cut_out`).
   ``ink`` ignores specks, faint lines and marks that lie along the border alone.
4. Resize to the model's size, antialiased. ``ink`` is stretched to 255 again, because thin lines fade.

A ``grey`` or ``rgb`` picture that already has the model's size, channels and background passes unchanged. Large
pictures are reduced early, tile by tile, so that memory holds one full-size copy at most. Pictures without contrast
are refused.
"""

import math

from PIL import Image

from serving.preprocessing.memory_cost import cost
from serving.preprocessing.picture_files import convert, plain_png, reader
from serving.preprocessing.picture_files.header import Header, PictureError, animated
from serving.preprocessing.prepare import Pixels, prepare, prepare_grey
from serving.preprocessing.recipe import ImageRecipe, Polarity
from serving.preprocessing.reduction import decoded_size, reduction

__all__ = [
    "MAX_PIXELS",
    "NOTE",
    "Header",
    "ImageRecipe",
    "PictureError",
    "Pixels",
    "Polarity",
    "cost",
    "decode",
    "decode_with_note",
    "header",
    "pixels",
    "prepare",
    "read",
]

#: Limit of a picture's pixels after decoding. libjpeg reduces a large JPEG while it decodes.
MAX_PIXELS = 25_000_000
#: Key in the ``info`` of a decoded picture: a note for the sender.
NOTE = "note"
_JPEG_FACTOR = 8  # a JPEG may state this many times more pixels, because libjpeg reduces it by up to 64
_MAX_BYTES_PER_PIXEL = 8  # of MAX_PIXELS: limit of the decoder's memory and the decoded picture


def decode(data: bytes, recipe: ImageRecipe, polarity: Polarity = "auto", max_pixels: int = MAX_PIXELS) -> Pixels:
    """Turn an encoded picture into the model's input, uint8 [height, width, channels].

    Raises:
        PictureError: The picture is empty, of another format, truncated, corrupt, animated, blank, or too large. The
            header shows most of this before anything is decoded.
    """
    return decode_with_note(data, recipe, polarity, max_pixels)[0]


def decode_with_note(
    data: bytes, recipe: ImageRecipe, polarity: Polarity = "auto", max_pixels: int = MAX_PIXELS
) -> tuple[Pixels, str | None]:
    """Do the same as :func:`decode`, and return a note for the sender, if there is one."""
    plain = plain_png.read_grey(data, max_pixels)
    if plain is None:
        picture = _read(data, max_pixels, recipe)
    else:
        pixels = prepare_grey(plain, recipe, polarity)
        if pixels is not None:
            return pixels, None
        picture = Image.frombytes("L", plain.size, plain.content)
    return prepare(picture, recipe, polarity), picture.info.get(NOTE)


def read(data: bytes, max_pixels: int = MAX_PIXELS, recipe: ImageRecipe | None = None) -> Image.Image:
    """Decode a picture, upright, as mode L or RGB. With a recipe, a large one is reduced as the recipe needs.

    If the file lacks its last bytes but has all pixels, the picture's ``info`` says so under :data:`NOTE`.

    Raises:
        PictureError: See :func:`decode`.
    """
    plain = plain_png.read_grey(data, max_pixels)
    return _read(data, max_pixels, recipe) if plain is None else Image.frombytes("L", plain.size, plain.content)


def _read(data: bytes, max_pixels: int, recipe: ImageRecipe | None) -> Image.Image:
    stated = header(data, max_pixels, recipe)
    target = decoded_size(stated, recipe)
    size = (stated.width, stated.height)
    try:
        decoded = reader.load(data, size, None if target == size else target)
        picture = convert.convert(decoded, reduction(decoded.picture.size, recipe))
    except PictureError:
        raise
    except Exception as error:  # Pillow raises almost anything on hostile bytes
        raise PictureError(f"the picture is truncated or corrupt: {error or type(error).__name__}") from None
    if decoded.cut:
        picture.info[NOTE] = "the picture's file lacks its last bytes; all of its pixels are there"
    return picture


def header(data: bytes, max_pixels: int = MAX_PIXELS, recipe: ImageRecipe | None = None) -> Header:
    """Read a picture's format and size from its header, and check them against the limits.

    Raises:
        PictureError: The picture is empty, of another format, animated or too large, or its header is damaged.
    """
    stated = reader.header(data)
    width, height = stated.width, stated.height
    decoded = math.prod(decoded_size(stated, recipe))
    if decoded > max_pixels or width * height > _JPEG_FACTOR * max_pixels:
        raise PictureError(f"the picture has {width}×{height} pixels; at most {max_pixels} in all are accepted")
    needed = decoded * stated.pixel_bytes + stated.decoder_bytes
    if needed > _MAX_BYTES_PER_PIXEL * max_pixels:
        raise PictureError(
            f"the picture has {width}×{height} pixels and needs {needed // 1_000_000} MB to be decoded; at most "
            f"{_MAX_BYTES_PER_PIXEL * max_pixels // 1_000_000} MB are accepted. Send it smaller, or as a baseline JPEG"
        )
    if not width * height:
        raise PictureError(f"the picture cannot be read: its header says {width}×{height} pixels")
    if stated.animated:
        raise animated()
    return stated


def pixels(data: bytes) -> int:
    """Return the number of pixels that the header states; 0 if the bytes are not a picture.

    Raises:
        PictureError: The bytes begin as only a PNG or JPEG does, and the header cannot be read.
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
