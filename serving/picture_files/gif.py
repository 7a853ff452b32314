"""GIF: header, and the file with its one frame alone."""

import struct

from serving.picture_files.header import Cleaned, Header, PictureError, animated

MAGIC = b"GIF8"
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_GRAPHIC_CONTROL = 0xF9


def header(data: bytes) -> Header:
    """Size and memory use. A frame larger than the screen enlarges it, as in Pillow.

    Raises:
        PictureError: there is no frame.
    """
    _, place = _up_to_frame(data)
    if place + 10 > len(data):
        raise PictureError("the picture cannot be read: the GIF has no frame")
    left, top, wide, tall = struct.unpack_from("<HHHH", data, place + 1)
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", max(width, left + wide), max(height, top + tall), 1, converted=True)


def clean(data: bytes) -> Cleaned:
    """The screen, the first frame and its graphic control, if there is no second frame.

    Raises:
        PictureError: animated.
    """
    control, frame = _up_to_frame(data)
    flags = data[frame + 9] if frame + 9 < len(data) else 0
    end = _after_blocks(data, frame + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    place = end
    while place < len(data) and data[place] not in (_TRAILER, _IMAGE):
        place = _after_blocks(data, place + 2) if data[place] == _EXTENSION else place + 1
    if place + 10 < len(data) and data[place] == _IMAGE:
        raise animated()
    head = data[: 13 + _table_bytes(data)]
    frame_bytes = data[frame:end]
    missing = b"" if frame_bytes.endswith(b"\0") else b"\0"
    content = b"".join((head, control, frame_bytes, missing, bytes((_TRAILER,))))
    return Cleaned(content, cut=place >= len(data))


def _table_bytes(data: bytes) -> int:
    """The length of the global colour table."""
    if len(data) < 13:
        raise PictureError("the picture cannot be read: the GIF has no complete header")
    return int(3 << (data[10] & 7) + 1) if data[10] & 0x80 else 0


def _up_to_frame(data: bytes) -> tuple[bytes, int]:
    """The graphic control extension before the first frame, if any, and the place of the frame."""
    place, control = 13 + _table_bytes(data), b""
    while place < len(data) and data[place] not in (_IMAGE, _TRAILER):
        if data[place] == _EXTENSION:
            end = _after_blocks(data, place + 2)
            if data[place + 1 : place + 2] == bytes((_GRAPHIC_CONTROL,)):
                control = data[place:end]
            place = end
        else:
            place += 1
    return control, place if place < len(data) and data[place] == _IMAGE else len(data)


def _after_blocks(data: bytes, place: int) -> int:
    """The place after a sequence of sub-blocks and its terminator."""
    while place < len(data) and data[place]:
        place += 1 + data[place]
    return min(place + 1, len(data))
