"""PNG: read the header, and remove ancillary chunks except transparency."""

import binascii
import struct
import zlib
from collections.abc import Iterator

from serving.preprocessing.picture_files import png_metadata
from serving.preprocessing.picture_files.header import (
    MAX_PARTS,
    Cleaned,
    Header,
    PictureError,
    too_many_parts,
    truncated,
)

MAGIC = b"\x89PNG\r\n\x1a\n"
_START = MAGIC + b"\x00\x00\x00\rIHDR"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def header(data: bytes) -> Header:
    """Read size and memory use.

    Raises:
        PictureError: The header is damaged, or Xcode made the PNG for iOS apps.
    """
    if data[12:16] == b"CgBI":
        raise PictureError(
            "the picture is an Apple CgBI PNG, which Xcode makes for iOS apps; send the original PNG, "
            "or convert it with `pngcrush -revert-iphone-optimizations`"
        )
    if not data.startswith(_START) or len(data) < 33:
        raise PictureError("the picture cannot be read: the PNG has no complete IHDR chunk")
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise PictureError("the picture cannot be read: the checksum of the PNG's IHDR chunk is wrong")
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    if kind not in _CHANNELS:
        raise PictureError(f"the picture cannot be read: PNG has no colour type {kind}")
    frames = _frames(data)
    if kind == 0:
        converted = int(depth in (1, 16))
        return Header("PNG", width, height, max(depth // 8, 1), converted_bytes=converted, animated=frames > 1)
    # A 16-bit picture needs a second pass for its low bytes if the high bytes hold next to nothing.
    pixel_bytes = 1 if kind == 3 else 8 if depth == 16 else 4
    converted = 4 if kind > 2 or depth == 16 else 0
    return Header("PNG", width, height, pixel_bytes, converted_bytes=converted, animated=frames > 1)


def _frames(data: bytes) -> int:
    for name, start, end in _chunks(data):
        if name == b"IDAT":
            break
        if name == b"acTL" and end - start == 8:
            return int.from_bytes(data[start : start + 4], "big")
    return 1


def clean(data: bytes) -> Cleaned:
    """Keep the critical chunks and tRNS, check their checksums, and read the orientation.

    Adds a missing end if all pixels are there.

    Raises:
        PictureError: A critical chunk is damaged, or pixels are missing.
    """
    parts: list[bytes | memoryview] = [MAGIC]
    content = memoryview(data)
    pixels: list[memoryview] = []
    by_exif = by_xmp = None
    for name, start, end in _chunks(data):
        whole = end + 4 <= len(data)
        valid = whole and binascii.crc32(content[start - 4 : end]) == int.from_bytes(content[end : end + 4], "big")
        if name == b"IEND":
            return Cleaned(b"".join((*parts, _END)), by_exif or by_xmp or 1, cut=not whole)
        if name == b"IDAT" and not whole:
            pixels.append(content[start:end])
            break
        if name[0] & 0x20 == 0:
            _check_critical(name, valid)
            parts.append(content[start - 8 : end + 4])
            if name == b"IDAT":
                pixels.append(content[start:end])
        elif name == b"tRNS" and valid and (transparency := _scaled_transparency(data, data[start:end])):
            parts.append(_chunk(name, transparency))
        elif name in png_metadata.CHUNKS:
            by_exif = by_exif or png_metadata.from_exif(name, data[start:end])
            by_xmp = by_xmp or png_metadata.from_xmp(name, data[start:end])
    kept = [part for part in parts if part[4:8] != b"IDAT"]
    kept.append(_chunk(b"IDAT", _whole_stream(pixels, _raw_bytes(data))))
    return Cleaned(b"".join((*kept, _END)), by_exif or by_xmp or 1, cut=True)


def _check_critical(name: bytes, valid: bool) -> None:
    """Refuse a critical chunk that is damaged or unknown."""
    if not valid:
        raise truncated(f"the checksum of the PNG's {name.decode('latin-1')} chunk is wrong")
    if name not in _CRITICAL:
        raise truncated(f"PNG has no critical chunk {name.decode('latin-1')!r}")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk and the start and end of its content. The last one may be cut off."""
    position = len(MAGIC)
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        yield name, position + 8, min(end, len(data))
        position = end + 4
    raise too_many_parts()


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)))


def _scaled_transparency(data: bytes, content: bytes) -> bytes:
    """Scale the transparent grey or colour to 8 bits; empty if it does not fit the picture.

    Pillow compares it with pixels that are already 8 bits.
    """
    depth, kind = data[24], data[25]
    if kind == 3:
        return content[:256]
    if len(content) != {0: 2, 2: 6}.get(kind):
        return b""
    if kind == 0 and depth in (2, 4):
        return struct.pack(">H", (int.from_bytes(content, "big") & 2**depth - 1) * 255 // (2**depth - 1))
    if kind == 2 and depth == 16:
        return struct.pack(">HHH", *content[::2])
    return content


def _raw_bytes(data: bytes) -> int:
    """Return the length of all rows with their filter bytes."""
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    bits = int(depth) * _CHANNELS[kind]
    if not data[28]:
        return int(height * (1 + (width * bits + 7) // 8))
    total = 0
    for left, top, across, down in _ADAM7:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _whole_stream(parts: list[memoryview], expected: int) -> bytes:
    """Repack a zlib stream that lacks only its end.

    Raises:
        PictureError: The stream holds fewer bytes than expected.
    """
    unpack, pack, count, packed = zlib.decompressobj(), zlib.compressobj(1), 0, []
    try:
        for part in parts:
            rest: bytes | memoryview = part
            while rest and count < expected:
                piece = unpack.decompress(rest, 65_536)
                count += len(piece)
                packed.append(pack.compress(piece))
                rest = unpack.unconsumed_tail
    except zlib.error as error:
        raise truncated(error) from None
    if count < expected:
        raise truncated(f"the PNG ends after {count} of {expected} bytes of pixels")
    return b"".join((*packed, pack.flush()))
