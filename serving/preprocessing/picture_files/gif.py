"""GIF: header, and the file with its one frame alone."""

import re
import struct

from serving.preprocessing.picture_files.header import (
    MOST_PARTS,
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
    """Size and memory use. A frame larger than the screen enlarges it, as in Pillow.

    Raises:
        PictureError: there is no frame.
    """
    _, place = _next_frame(data, 13 + _table_bytes(data))
    if place + 10 > len(data):
        raise PictureError("the picture cannot be read: the GIF has no frame")
    left, top, wide, tall = struct.unpack_from("<HHHH", data, place + 1)
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", max(width, left + wide), max(height, top + tall), 1, converted_bytes=4)


def clean(data: bytes) -> Cleaned:
    """The screen, the only frame and its graphic control.

    Raises:
        PictureError: animated.
    """
    control, frame = _next_frame(data, 13 + _table_bytes(data))
    flags = data[frame + 9] if frame + 9 < len(data) else 0
    end = _after_blocks(data, frame + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    _, place = _next_frame(data, end)
    if place + 10 < len(data):
        raise animated()
    head, pixels = data[: 13 + _table_bytes(data)], data[frame : min(end, len(data))]
    missing = end - len(data)  # in the last sub-block and its terminator
    if missing <= 0:
        content = b"".join((head, control, pixels, _TRAILER))
        return Cleaned(content, cut=data.find(b";", end) < 0)
    ends = (bytes(missing) + _TRAILER, NOISE[: missing - 1] + b"\0" + _TRAILER)
    return Cleaned(head + control + pixels, cut=True, ends=ends)


def _table_bytes(data: bytes) -> int:
    """The length of the global colour table."""
    if len(data) < 13:
        raise PictureError("the picture cannot be read: the GIF has no complete header")
    return int(3 << (data[10] & 7) + 1) if data[10] & 0x80 else 0


def _next_frame(data: bytes, place: int) -> tuple[bytes, int]:
    """The graphic control extension before the next frame, and the frame's place.

    The extension may be empty. The place is the file's end if there is no frame.
    """
    control = b""
    for _ in range(MOST_PARTS):
        found = _INTRODUCER.search(data, place)
        if found is None or found[0] == b";":
            break
        place = found.start()
        if found[0] == b",":
            return control, place
        end = _after_blocks(data, place + 2)
        if data[place + 1 : place + 2] == _GRAPHIC_CONTROL:
            control = data[place:end]
        place = end
    return control, len(data)


def _after_blocks(data: bytes, place: int) -> int:
    """The place after sub-blocks and their terminator, beyond the end of a cut file."""
    for _ in range(MOST_PARTS):
        if place >= len(data) or not data[place]:
            return place + 1
        place += 1 + data[place]
    raise too_many_parts()
