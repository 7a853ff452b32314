"""Orientation in the metadata chunks of a PNG."""

import binascii
import zlib

from serving.preprocessing.picture_files import orientation

_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
#: Chunks that may hold an orientation.
CHUNKS = _TEXT_CHUNKS | {b"eXIf"}
_PROFILES = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_XMP = b"XML:com.adobe.xmp\0"
_MAX_TEXT = 262_144  # bytes of an unpacked text chunk


def from_exif(name: bytes, content: bytes) -> int | None:
    """Read the EXIF orientation, 1 to 8, from an eXIf chunk or a raw profile in a text chunk."""
    if name == b"eXIf":
        return orientation.from_exif(content)
    return orientation.from_exif(_raw_profile(name, content)) if content.startswith(_PROFILES) else None


def from_xmp(name: bytes, content: bytes) -> int | None:
    """Read the XMP orientation, 1 to 8, from a text chunk."""
    is_xmp = name in _TEXT_CHUNKS and content.startswith(_XMP)
    return orientation.from_xmp(_international(content)) if is_xmp else None


def _raw_profile(name: bytes, content: bytes) -> bytes:
    """Read EXIF as ImageMagick writes it: a name, a length and hexadecimal digits, packed or not."""
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
    """Return the text of an iTXt chunk."""
    rest = content.partition(b"\0")[2]
    text = rest[2:].split(b"\0", 2)[-1]
    return _unpacked(text) if rest[:1] == b"\1" else text[:_MAX_TEXT]


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MAX_TEXT)
    except zlib.error:
        return b""
