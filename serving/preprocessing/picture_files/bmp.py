"""BMP: read the header, and add missing padding."""

import struct

from serving.preprocessing.picture_files.header import Cleaned, Header, PictureError

MAGIC = b"BM"
_RLE = (1, 2)
# Pillow unpacks run lengths in Python, and one run can skip 255 rows.
_RLE_PIXELS, _RLE_BYTES, _RLE_SKIP = 16_000_000, 2_000_000, 255


def header(data: bytes) -> Header:
    """Read size and memory use.

    Raises:
        PictureError: The header is damaged, or the picture is too large for run-length decoding.
    """
    width, height, bits, packing = _facts(data)
    if packing in _RLE:
        unpacked = (height + _RLE_SKIP) * width
        if unpacked > _RLE_PIXELS or len(data) > _RLE_BYTES:
            raise PictureError(f"a BMP of {width}×{height} pixels with RLE compression is too large; save it as a PNG")
        return Header("BMP", width, height, 1, decoder_bytes=3 * unpacked, converted_bytes=4)
    return Header("BMP", width, height, 1 if bits <= 8 else 4, converted_bytes=0 if bits == 24 else 4)


def clean(data: bytes) -> Cleaned:
    """Add the padding of the last row if it is missing."""
    width, height, bits, packing = _facts(data)
    if packing in _RLE:
        return Cleaned(data)
    start = int.from_bytes(data[10:14], "little")
    row = (width * bits + 31) // 32 * 4
    end, least = start + row * height, start + row * (height - 1) + (width * bits + 7) // 8
    missing = end - len(data)
    cut = 0 < missing <= end - least
    return Cleaned(data + bytes(missing), cut=cut) if cut else Cleaned(data)


def _facts(data: bytes) -> tuple[int, int, int, int]:
    """Read width, height, bits per pixel and compression."""
    if len(data) >= 26 and data[14:18] == b"\x0c\0\0\0":
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = 0
    elif len(data) >= 34:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
        height = abs(height)
    else:
        raise PictureError("the picture cannot be read: the BMP has no complete header")
    if width <= 0 or not height:
        raise PictureError(f"the picture cannot be read: the BMP's header says {width}×{height} pixels")
    return width, height, bits, packing
