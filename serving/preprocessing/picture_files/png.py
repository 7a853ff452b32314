"""PNG: header, and the file without ancillary chunks but transparency."""

import binascii
import struct
import zlib
from collections.abc import Iterator, Sequence

from PIL import Image

from serving.preprocessing.picture_files import orientation
from serving.preprocessing.picture_files.header import (
    MOST_PARTS,
    Cleaned,
    Header,
    PictureError,
    too_many_parts,
    truncated,
)

MAGIC = b"\x89PNG\r\n\x1a\n"
_START = MAGIC + b"\x00\x00\x00\rIHDR"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_PROFILES = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_XMP = b"XML:com.adobe.xmp\0"
_HOT = 2000  # one of so many pixels may be a hot one
_MOST_TEXT = 262_144  # bytes of a text chunk that may hold the orientation, unpacked
_END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def header(data: bytes) -> Header:
    """Size and memory use.

    Raises:
        PictureError: the header is damaged, or the PNG is one that Xcode made for iOS apps.
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
    # A 16-bit picture has its low bytes decoded in a second pass if the high ones hold next to nothing.
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
    """The critical chunks and tRNS, whose checksums are checked, and the orientation.

    An ancillary chunk is skipped, whatever it holds. A missing end is added if all pixels are there.

    Raises:
        PictureError: a critical chunk is damaged, or pixels are missing.
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
        if name == b"tRNS":
            if valid and (transparency := _scaled_transparency(data, data[start:end])):
                parts.append(_chunk(name, transparency))
        elif name in _KEPT and valid:
            parts.append(content[start - 8 : end + 4])
            if name == b"IDAT":
                pixels.append(content[start:end])
        elif name[0] & 0x20 == 0:  # critical
            if valid:
                raise truncated(f"PNG has no critical chunk {name.decode('latin-1')!r}")
            raise truncated(f"the checksum of the PNG's {name.decode('latin-1')} chunk is wrong")
        elif name == b"eXIf":
            by_exif = by_exif or orientation.from_exif(data[start:end])
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            text = data[start : start + 32]
            if text.startswith(_PROFILES):
                by_exif = by_exif or orientation.from_exif(_raw_profile(name, data[start:end]))
            elif text.startswith(_XMP):
                by_xmp = by_xmp or orientation.from_xmp(_international(data[start:end]))
    kept = [part for part in parts if part[4:8] != b"IDAT"]
    kept.append(_chunk(b"IDAT", _whole_stream(pixels, _raw_bytes(data))))
    return Cleaned(b"".join((*kept, _END)), by_exif or by_xmp or 1, cut=True)


def is_dark_16_bit(content: bytes, picture: Image.Image) -> bool:
    """Whether the high bytes of 16-bit colour, which Pillow decodes, leave bits unused."""
    if content[24] != 16 or content[25] == 0:
        return False
    return all(bits(picture.getchannel(band).histogram()) < 16 for band in "RGB")


def bits(high_bytes: Sequence[int]) -> int:
    """How many bits, 8 to 16, the values of a 16-bit picture have.

    Cameras and scanners store 8 to 14 bits without scaling. A few hot pixels of a camera do not count.

    Args:
        high_bytes: the number of pixels by the high byte of their value, 256 counts.
    """
    left = sum(high_bytes) // _HOT
    for most in range(255, 0, -1):
        left -= high_bytes[most]
        if left < 0:
            return 8 + most.bit_length()
    return 8


def low_bytes(content: bytes) -> tuple[str, str]:
    """Pillow's raw mode that decodes the low bytes of 16-bit colour, and their bands.

    Grey with alpha has no such mode: its four bytes are decoded as RGBA.
    """
    return {2: ("RGB;16L", "RGB"), 4: ("RGBA", "GGGA"), 6: ("RGBA;16L", "RGBA")}[content[25]]


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each chunk.

    The last one may end too early.
    """
    place = len(MAGIC)
    for _ in range(MOST_PARTS):
        if place + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        yield name, place + 8, min(end, len(data))
        place = end + 4
    raise too_many_parts()


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)))


def _scaled_transparency(data: bytes, content: bytes) -> bytes:
    """The transparent grey or colour in 8 bits; empty if it does not fit the picture.

    Pillow compares it with pixels that it has already scaled to 8 bits.
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
    """The length of all rows with their filter bytes."""
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
    """A zlib stream that lacks only its end, packed again with one.

    Raises:
        PictureError: it does not hold as many bytes as expected.
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


def _raw_profile(name: bytes, content: bytes) -> bytes:
    """EXIF as ImageMagick writes it: a name, a length and digits, packed or not."""
    text = content.partition(b"\0")[2]
    if name == b"zTXt":
        text = _unpacked(text[1:])
    elif name == b"iTXt":
        text = _international(content)
    words = text.split(maxsplit=2)
    digits = b"".join(words[2].split()) if len(words) == 3 else b""
    try:
        return binascii.unhexlify(digits[: len(digits) & ~1])
    except ValueError:
        return b""


def _international(content: bytes) -> bytes:
    """The text of an iTXt chunk."""
    rest = content.partition(b"\0")[2]
    text = rest[2:].split(b"\0", 2)[-1]
    return _unpacked(text) if rest[:1] == b"\1" else text[:_MOST_TEXT]


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_TEXT)
    except zlib.error:
        return b""
