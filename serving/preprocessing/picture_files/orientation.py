"""Read the camera's orientation from EXIF or XMP. Broken metadata means upright, never an error.

Pillow's EXIF reader also parses and rewrites every other tag, and fails on values that cameras do write.
"""

import re
import struct

from PIL import Image

_TAG = 0x0112
_VALUES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # TIFF types of whole numbers
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")


def from_exif(exif: bytes) -> int | None:
    """Return the orientation, 1 to 8, in the first directory of a TIFF structure, or None."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    last = min(directory + 2 + 12 * count, len(tiff) - 11)
    for position in range(directory + 2, last, 12):
        tag, kind = struct.unpack_from(f"{order}HH", tiff, position)
        if tag == _TAG and kind in _VALUES:
            (value,) = struct.unpack_from(order + _VALUES[kind], tiff, position + 8)
            return value if 1 <= value <= 8 else None
    return None


def from_xmp(xmp: bytes) -> int | None:
    """Return the orientation, 1 to 8, in an XMP packet, or None."""
    found = _XMP.search(xmp)
    return int(found[1]) if found else None


def upright(picture: Image.Image, orientation: int | None) -> Image.Image:
    """Rotate or mirror a picture by its EXIF orientation. Invalid values leave it unchanged."""
    turn = _TURNS.get(orientation or 1)
    return picture if turn is None else picture.transpose(turn)
