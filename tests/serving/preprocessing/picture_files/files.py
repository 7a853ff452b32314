"""Picture files written by hand: chunks, segments and headers that Pillow does not write."""

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]


def shape(size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A light block at the top left and a bar below it on black, mode L: turns, mirrors and shifts show."""
    picture = Image.new("L", size, 0)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((12, 10, 45, 40), fill=230)
    draw.rectangle((20, 60, 100, 70), fill=140)
    return picture


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)  # type: ignore[arg-type]
    return file.getvalue()


def chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A PNG chunk, with a wrong checksum if one is given."""
    right = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", right if checksum is None else checksum)


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", header), *more, pixels, chunk(b"IEND", b"")))


def rows(pixels: NDArray[np.generic]) -> bytes:
    """The rows of a PNG without filters, from [height, …]."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def in_bits(pixels: Pixels, depth: int) -> bytes:
    """The rows of a grey PNG of 1, 2 or 4 bits."""
    bits = (pixels >> (8 - depth))[..., None] >> np.arange(depth, dtype=np.uint8)[::-1] & 1
    return rows(np.packbits(bits.reshape(len(pixels), -1), axis=1))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks after its IHDR."""
    return b"".join((data[:33], *chunks, data[33:]))


def segment(marker: int, content: bytes) -> bytes:
    """A JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments after its first marker."""
    return b"".join((data[:2], *segments, data[2:]))


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    padded = (name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1) for name, body in chunks)
    content = b"WEBP" + b"".join(padded)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def extended(flags: int, size: tuple[int, int]) -> tuple[bytes, bytes]:
    """The VP8X chunk."""
    width, height = (struct.pack("<I", side - 1)[:3] for side in size)
    return b"VP8X", bytes((flags, 0, 0, 0)) + width + height


def first_chunk(data: bytes) -> tuple[bytes, bytes]:
    return data[12:16], data[20 : 20 + int.from_bytes(data[16:20], "little")]


def exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """A TIFF structure of one directory: tag, type, count and value of each entry."""
    content = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        content += struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")
    return content + bytes(4)


def bmp(
    size: tuple[int, int], bits: int, pixels: bytes, packing: int = 0, header: int = 40, masks: Iterable[int] = ()
) -> bytes:
    """A BMP of 16 bits or more, or of 8 bits with a grey palette."""
    info = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, packing, len(pixels), 0, 0, 0, 0)
    info = (info + b"".join(struct.pack("<I", mask) for mask in masks)).ljust(header, b"\0")
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256)) if bits == 8 else b""
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + palette + pixels
