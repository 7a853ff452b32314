"""Read headers and decode pictures of all supported formats, in Pillow's modes."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from serving.preprocessing.picture_files import bmp, gif, jpeg, png, png_16_bit, unsupported_formats, webp
from serving.preprocessing.picture_files.header import Cleaned, Header, PictureError, truncated


@dataclass(frozen=True, slots=True)
class _Format:
    magic: bytes
    header: Callable[[bytes], Header]
    clean: Callable[[bytes], Cleaned]
    opener: Callable[[io.BytesIO], ImageFile.ImageFile]


_FORMATS = (
    _Format(png.MAGIC, png.header, png.clean, PngImagePlugin.PngImageFile),
    _Format(jpeg.MAGIC, jpeg.header, jpeg.clean, JpegImagePlugin.JpegImageFile),
    _Format(webp.MAGIC, webp.header, webp.clean, WebPImagePlugin.WebPImageFile),
    _Format(bmp.MAGIC, bmp.header, bmp.clean, BmpImagePlugin.BmpImageFile),
    _Format(gif.MAGIC, gif.header, gif.clean, GifImagePlugin.GifImageFile),
)
NEVER_TEXT = (png.MAGIC, jpeg.MAGIC)  # the other formats begin like text


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture in the mode of its file."""

    picture: Image.Image
    #: The EXIF orientation, 1 to 8.
    orientation: int = 1
    #: Whether the file lacks its last bytes, although all pixels are there.
    cut: bool = False
    #: Low bytes of a 16-bit colour picture whose high bytes hold next to nothing.
    low: Image.Image | None = None
    #: Bands of ``low`` in the order of those of ``picture``.
    low_bands: str = "RGB"


def is_known(data: bytes) -> bool:
    """Whether the bytes begin like a file of a supported format."""
    return any(data.startswith(file_format.magic) for file_format in _FORMATS)


def header(data: bytes) -> Header:
    """Read a file's header without decoding anything.

    Raises:
        PictureError: The file is empty or of another format, or its header is damaged.
    """
    return _format_of(data).header(data)


def load(data: bytes, size: tuple[int, int], scaled: tuple[int, int] | None = None) -> Decoded:
    """Decode a picture.

    Args:
        data: The file.
        size: Width and height as the header states them. Another size is an error.
        scaled: Size to which libjpeg reduces a JPEG while it decodes.

    Raises:
        PictureError: The picture is animated, truncated or corrupt.
    """
    file_format = _format_of(data)
    try:
        cleaned = file_format.clean(data)
        first, second = cleaned.ends or (b"", None)
        picture = _load(file_format, cleaned.content + first, size, scaled)
        if second is not None:
            digest = _digest(picture)
            del picture  # equal to the next one, and large
            picture = _load(file_format, cleaned.content + second, size, scaled)
            if _digest(picture) != digest:
                raise truncated("the file ends before its last pixels")
        low, bands = None, "RGB"
        if file_format.magic == png.MAGIC and png_16_bit.is_dark_16_bit(cleaned.content, picture):
            rawmode, bands = png_16_bit.low_bytes(cleaned.content)
            low = _load(file_format, cleaned.content, size, rawmode=rawmode)
        return Decoded(picture, cleaned.orientation, cleaned.cut, low, bands)
    except PictureError:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on hostile bytes
        raise truncated(error or type(error).__name__) from None


def _format_of(data: bytes) -> _Format:
    for file_format in _FORMATS:
        if data.startswith(file_format.magic):
            return file_format
    raise unsupported_formats.error(data)


def _load(
    file_format: _Format,
    content: bytes,
    size: tuple[int, int],
    scaled: tuple[int, int] | None = None,
    rawmode: str | None = None,
) -> Image.Image:
    picture = file_format.opener(io.BytesIO(content))
    if picture.size != size:
        raise truncated(f"its header says {size[0]}×{size[1]} pixels, its content {picture.width}×{picture.height}")
    if scaled is not None:
        picture.draft(None, scaled)
    if rawmode is not None:
        picture.tile = [tile._replace(args=rawmode) for tile in picture.tile]
    picture.load()
    return picture


def _digest(picture: Image.Image) -> bytes:
    """Hash the pixels without a second copy of them."""
    digest = hashlib.blake2b()
    for top in range(0, picture.height, 64):
        digest.update(picture.crop((0, top, picture.width, min(top + 64, picture.height))).tobytes())
    return digest.digest()
