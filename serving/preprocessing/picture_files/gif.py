"""GIF: read the header, and keep the only frame."""

import re
import struct

from serving.preprocessing.picture_files.header import (
    MAX_PARTS,
    NOISE,
    Cleaned,
    Header,
    PictureError,
    animated,
    too_many_parts,
)

MAGIC = b"GIF8"
_INTRODUCER = re.compile(b"[!,;]")  # of an extension, a frame, and the trailer; bytes before one are skipped
_GRAPHIC_CONTROL = b"\xf9"
_TRAILER = b";"


def header(data: bytes) -> Header:
    """Read size and memory use. A frame larger than the screen enlarges it, as in Pillow.

    Raises:
        PictureError: The file has no frame.
    """
    _, position = _next_frame(data, 13 + _table_bytes(data))
    if position + 10 > len(data):
        raise PictureError("the picture cannot be read: the GIF has no frame")
    left, top, wide, tall = struct.unpack_from("<HHHH", data, position + 1)
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", max(width, left + wide), max(height, top + tall), 1, converted_bytes=4)


def clean(data: bytes) -> Cleaned:
    """Keep the screen, the only frame and its graphic control.

    Raises:
        PictureError: The picture is animated.
    """
    control, frame = _next_frame(data, 13 + _table_bytes(data))
    flags = data[frame + 9] if frame + 9 < len(data) else 0
    end = _after_blocks(data, frame + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    _, position = _next_frame(data, end)
    if position + 10 < len(data):
        raise animated()
    head, pixels = data[: 13 + _table_bytes(data)], data[frame : min(end, len(data))]
    missing = end - len(data)  # in the last sub-block and its terminator
    if missing <= 0:
        content = b"".join((head, control, pixels, _TRAILER))
        return Cleaned(content, cut=data.find(b";", end) < 0)
    ends = (bytes(missing) + _TRAILER, NOISE[: missing - 1] + b"\0" + _TRAILER)
    return Cleaned(head + control + pixels, cut=True, ends=ends)


def _table_bytes(data: bytes) -> int:
    """Return the length of the global colour table."""
    if len(data) < 13:
        raise PictureError("the picture cannot be read: the GIF has no complete header")
    return int(3 << (data[10] & 7) + 1) if data[10] & 0x80 else 0


def _next_frame(data: bytes, position: int) -> tuple[bytes, int]:
    """Find the next frame and the graphic control extension before it.

    Returns:
        The extension, which may be empty, and the frame's position: the file's end without a frame.
    """
    control = b""
    for _ in range(MAX_PARTS):
        found = _INTRODUCER.search(data, position)
        if found is None or found[0] == b";":
            break
        position = found.start()
        if found[0] == b",":
            return control, position
        end = _after_blocks(data, position + 2)
        if data[position + 1 : position + 2] == _GRAPHIC_CONTROL:
            control = data[position:end]
        position = end
    return control, len(data)


def _after_blocks(data: bytes, position: int) -> int:
    """Return the position after sub-blocks and their terminator; beyond the end of a cut file."""
    for _ in range(MAX_PARTS):
        if position >= len(data) or not data[position]:
            return position + 1
        position += 1 + data[position]
    raise too_many_parts()
