"""Fast path for the most frequent picture: a small PNG of 8-bit grey without ancillary chunks."""

import struct
import zlib
from typing import NamedTuple

from PIL import Image

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GREY = b"\x08\x00\x00\x00\x00"  # depth, colour type, compression, filter, interlace
_MAX_CHUNKS = 1000
_MAX_PIXELS = (
    65_536  # larger pictures would be copied once more, and what the general reader adds is little beside them
)
_CODECS = Image.core  # type: ignore[attr-defined] # Pillow's own; its Python objects around them take as long again


class GreyPicture(NamedTuple):
    """A decoded picture.

    Attributes:
        size: width and height.
        content: luminances, one byte each, row by row.
        contrast: difference between the largest and the smallest luminance.
    """

    size: tuple[int, int]
    content: bytes
    contrast: int


def read_grey(data: bytes, max_pixels: int) -> GreyPicture | None:
    """Decode a small plain grey PNG in a quarter of the general reader's time.

    Returns:
        The picture. None if the file holds anything else or is damaged: the general reader handles it.
    """
    if not data.startswith(_START) or data[24:29] != _GREY:
        return None
    size = struct.unpack_from(">II", data, 16)
    if (
        not 0 < size[0] * size[1] <= min(max_pixels, _MAX_PIXELS)
        or zlib.crc32(data[12:29]).to_bytes(4, "big") != data[29:33]
    ):
        return None
    position = 33  # behind the first chunk
    parts: list[bytes] = []
    while position + 12 <= len(data) and len(parts) < _MAX_CHUNKS:
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if data[end : end + 4] != zlib.crc32(data[position + 4 : end]).to_bytes(4, "big"):
            return None
        if name == b"IEND":
            return _decode(size, parts)
        if name != b"IDAT":
            return None
        parts.append(data[position + 8 : end])
        position = end + 4
    return None


def _decode(size: tuple[int, int], parts: list[bytes]) -> GreyPicture | None:
    pixels = _CODECS.new("L", size)
    decoder = _CODECS.zip_decoder("L", "L")
    decoder.setimage(pixels, (0, 0, *size))
    left, error = decoder.decode(parts[0] if len(parts) == 1 else b"".join(parts))
    if left >= 0 or error:
        return None
    encoder = _CODECS.raw_encoder("L", "L", 0, 1)
    encoder.setimage(pixels, (0, 0, *size))
    least, most = pixels.getextrema()
    return GreyPicture(size, encoder.encode(size[0] * size[1])[2], most - least)
