"""Headers and decoded pictures of the formats that are read, in Pillow's modes."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from serving.preprocessing.picture_files import bmp, foreign, gif, jpeg, png, webp
from serving.preprocessing.picture_files.header import Cleaned, Header, PictureError, truncated


@dataclass(frozen=True, slots=True)
class _Kind:
    magic: bytes
    header: Callable[[bytes], Header]
    clean: Callable[[bytes], Cleaned]
    opener: Callable[[io.BytesIO], ImageFile.ImageFile]


_KINDS = (
    _Kind(png.MAGIC, png.header, png.clean, PngImagePlugin.PngImageFile),
    _Kind(jpeg.MAGIC, jpeg.header, jpeg.clean, JpegImagePlugin.JpegImageFile),
    _Kind(webp.MAGIC, webp.header, webp.clean, WebPImagePlugin.WebPImageFile),
    _Kind(bmp.MAGIC, bmp.header, bmp.clean, BmpImagePlugin.BmpImageFile),
    _Kind(gif.MAGIC, gif.header, gif.clean, GifImagePlugin.GifImageFile),
)
NEVER_TEXT = (png.MAGIC, jpeg.MAGIC)  # the other formats begin as a word may


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture in the mode of its file."""

    picture: Image.Image
    #: The EXIF orientation, 1 to 8.
    orientation: int = 1
    #: Whether bytes are missing at the file's end, although all pixels are there.
    cut: bool = False
    #: For a 16-bit colour picture whose high bytes hold next to nothing: the low bytes.
    low: Image.Image | None = None
    #: The bands of ``low`` that belong to those of ``picture``.
    low_bands: str = "RGB"


def is_known(data: bytes) -> bool:
    """Whether the bytes begin as a file of a format that is read."""
    return any(data.startswith(kind.magic) for kind in _KINDS)


def header(data: bytes) -> Header:
    """What the file's first bytes state. Nothing is decoded.

    Raises:
        PictureError: empty, another format, or a damaged header.
    """
    return _kind(data).header(data)


def load(data: bytes, size: tuple[int, int], scaled: tuple[int, int] | None = None) -> Decoded:
    """The decoded picture.

    Args:
        size: width and height as the header states them; anything else is an error.
        scaled: the size to which libjpeg reduces a JPEG while it decodes.

    Raises:
        PictureError: animated, truncated or corrupt.
    """
    kind = _kind(data)
    try:
        cleaned = kind.clean(data)
        first, second = cleaned.ends or (b"", None)
        picture = _load(kind, cleaned.content + first, size, scaled)
        if second is not None:
            digest = _digest(picture)
            del picture  # equal to the next one, and large
            picture = _load(kind, cleaned.content + second, size, scaled)
            if _digest(picture) != digest:
                raise truncated("the file ends before its last pixels")
        low, bands = None, "RGB"
        if kind.magic == png.MAGIC and png.is_dark_16_bit(cleaned.content, picture):
            rawmode, bands = png.low_bytes(cleaned.content)
            low = _load(kind, cleaned.content, size, rawmode=rawmode)
        return Decoded(picture, cleaned.orientation, cleaned.cut, low, bands)
    except PictureError:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on hostile bytes
        raise truncated(error or type(error).__name__) from None


def _kind(data: bytes) -> _Kind:
    for kind in _KINDS:
        if data.startswith(kind.magic):
            return kind
    raise foreign.error(data)


def _load(
    kind: _Kind,
    content: bytes,
    size: tuple[int, int],
    scaled: tuple[int, int] | None = None,
    rawmode: str | None = None,
) -> Image.Image:
    picture = kind.opener(io.BytesIO(content))
    if picture.size != size:
        raise truncated(f"its header says {size[0]}×{size[1]} pixels, its content {picture.width}×{picture.height}")
    if scaled is not None:
        picture.draft(None, scaled)
    if rawmode is not None:
        picture.tile = [tile._replace(args=rawmode) for tile in picture.tile]
    picture.load()
    return picture


def _digest(picture: Image.Image) -> bytes:
    """A hash of the pixels, without a second copy of them."""
    digest = hashlib.blake2b()
    for top in range(0, picture.height, 64):
        digest.update(picture.crop((0, top, picture.width, min(top + 64, picture.height))).tobytes())
    return digest.digest()
