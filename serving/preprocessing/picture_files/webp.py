"""WebP: read the header, and remove metadata chunks."""

import struct
from collections.abc import Iterator

from serving.preprocessing.picture_files import orientation
from serving.preprocessing.picture_files.header import (
    MAX_PARTS,
    NOISE,
    Cleaned,
    Header,
    PictureError,
    too_many_parts,
    truncated,
)

MAGIC = b"RIFF"
_PIXELS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC, EXIF, XMP
_MAX_MISSING = 64  # bytes at the end that may hold no pixels
_PIXEL_BYTES = 12  # two canvases of libwebp, which Pillow keeps, and the picture; a copy is temporary


def header(data: bytes) -> Header:
    """Read size and memory use.

    Raises:
        PictureError: The first chunk states no size.
    """
    if data[8:12] in (b"AVI ", b"WAVE"):
        raise PictureError("the bytes are a RIFF file but no WebP; send one picture as PNG, JPEG or WebP")
    name, body = data[12:16], data[20:30]
    width, height, animated = 0, 0, False
    if data[8:12] == b"WEBP" and len(body) >= 10:
        if name == b"VP8X":
            width, height = (1 + int.from_bytes(body[start : start + 3], "little") for start in (4, 7))
            animated = bool(body[0] & 0x02) and sum(chunk == b"ANMF" for chunk, _, _ in _chunks(data)) > 1
        elif name == b"VP8L" and body[0] == 0x2F:
            bits = int.from_bytes(body[1:5], "little")
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
            width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", body, 6))
    if not width * height:
        raise PictureError("the picture cannot be read: the WebP has no complete header")
    return Header(
        "WebP", width, height, _PIXEL_BYTES, decoder_bytes=4 * width * height, converted_bytes=4, animated=animated
    )


def clean(data: bytes) -> Cleaned:
    """Keep the chunks that hold pixels, and read the orientation. The end of the last chunk may be missing.

    Raises:
        PictureError: Too much of a chunk is missing.
    """
    parts = []
    by_exif = by_xmp = None
    missing = 0
    for name, start, end in _chunks(data):
        if name == b"VP8X":
            parts.append(data[start - 8 : start] + bytes((data[start] & ~_METADATA_FLAGS,)) + data[start + 1 : end])
        elif name in _PIXELS:
            missing = max(end - len(data), 0)
            parts.append(data[start - 8 : end] + b"\0" * (end - start & 1 and not missing))
        elif name == b"EXIF":
            by_exif = by_exif or orientation.from_exif(data[start:end])
        elif name == b"XMP ":
            by_xmp = by_xmp or orientation.from_xmp(data[start:end])
    size = 4 + sum(map(len, parts)) + missing
    size += size & 1
    content = b"".join((MAGIC, struct.pack("<I", size), b"WEBP", *parts))
    if missing > _MAX_MISSING:
        raise truncated(f"the WebP lacks its last {missing} bytes")
    cut = len(data) < 8 + int.from_bytes(data[4:8], "little")
    pad = bytes(8 + size - len(content) - missing)
    ends = (bytes(missing) + pad, NOISE[:missing] + pad) if missing else None
    return Cleaned(content, by_exif or by_xmp or 1, cut or bool(missing), ends)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk and the start and end of its content. The last one may end beyond the file."""
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length
        yield name, position + 8, end
        position = end + (length & 1)
    raise too_many_parts()
