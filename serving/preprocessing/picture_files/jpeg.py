"""JPEG: read the header, and remove application segments and comments."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

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

MAGIC = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN = 0xDA
_JPEG_LS = 0xF7
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8), 0xD8})
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # one with a length; \xff\x00 and restarts are data of a scan
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int  # of its content
    end: int


def header(data: bytes) -> Header:
    """Read the size at full scale and memory use.

    libjpeg keeps the coefficients of a picture with several scans.

    Raises:
        PictureError: No frame header precedes the first scan, or the decoder does not support it.
    """
    frame = None
    for segment in _segments(data):
        if segment.marker == _JPEG_LS:
            raise PictureError("the file is a JPEG-LS picture, which is not supported; convert it to PNG or JPEG")
        if segment.marker in _FRAMES:
            frame = segment
        elif segment.marker == _SCAN and frame is not None:
            return _header(data, frame, in_one_scan=data[segment.start] == data[frame.start + 5])
    if frame is not None and data[frame.start + 5 : frame.end]:
        return _header(data, frame, in_one_scan=True)  # the decoder says what is missing
    raise PictureError("the picture cannot be read: the JPEG has no frame header")


def _header(data: bytes, frame: _Segment, *, in_one_scan: bool) -> Header:
    bits, height, width, count = struct.unpack_from(">BHHB", data, frame.start)
    if bits != 8:
        raise PictureError(f"the picture is a JPEG of {bits} bits per channel; save it as an ordinary JPEG of 8 bits")
    sampling = [data[position] for position in range(frame.start + 7, frame.end, 3)][:count]
    across, down = ([value >> 4 for value in sampling], [value & 15 for value in sampling])
    if count not in (1, 3, 4) or len(sampling) != count or not all(across) or not all(down) or not width * height:
        raise PictureError("the picture cannot be read: the JPEG's frame header is damaged")
    coefficients = 0
    if frame.marker in _PROGRESSIVE or not in_one_scan:
        units = -(-width // (8 * max(across))) * -(-height // (8 * max(down)))
        coefficients = sum(units * h * v * 128 for h, v in zip(across, down, strict=True))
    return Header("JPEG", width, height, 1 if count == 1 else 4, coefficients, 4 if count == 4 else 0)


def clean(data: bytes) -> Cleaned:
    """Keep the segments that the decoder needs, and read the orientation.

    Raises:
        PictureError: The end marker and whole scans are missing.
    """
    content = memoryview(data)
    parts: list[bytes | memoryview] = [MAGIC[:2]]
    by_exif = by_xmp = None
    scan = len(data)
    for segment in _segments(data):
        marker = segment.marker
        if marker == _SCAN:
            scan = segment.start - 4
            break
        if marker in _FRAMES or marker in _TABLES or _has_colour_space(data, segment):
            parts += (bytes((0xFF, marker)), content[segment.start - 2 : segment.end])
        elif marker == 0xE1 and data.startswith(b"Exif\0", segment.start):  # some write another byte after it
            by_exif = by_exif or orientation.from_exif(data[segment.start + 6 : segment.end])
        elif marker == 0xE1 and data.startswith(b"http:", segment.start):
            by_xmp = by_xmp or orientation.from_xmp(data[segment.start : segment.end])
    if data.find(_END, scan) >= 0:
        return Cleaned(b"".join((*parts, content[scan:])), by_exif or by_xmp or 1)
    whole = b"".join((*parts, content[scan : len(data) - data.endswith(b"\xff")]))
    if not _has_all_scans(whole):
        raise truncated("the JPEG ends before its last pixels")
    return Cleaned(whole, by_exif or by_xmp or 1, cut=True, ends=(_END, NOISE + _END))


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans hold every coefficient bit of the picture."""
    missing: dict[int, set[int]] = {}  # component → coefficients that lack bits
    position = 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, position)
        if found is None or found.end() + 2 > len(data):
            break
        marker, start = data[found.start() + 1], found.end() + 2
        position = start - 2 + int.from_bytes(data[start - 2 : start], "big")
        if marker in _FRAMES:
            missing = {data[id]: set(range(64)) for id in range(start + 6, position, 3)}
        elif marker == _SCAN and position <= len(data):
            first, last, bits = data[position - 3 : position]
            for id in data[start + 1 : position - 3 : 2]:
                if bits & 15 == 0 and id in missing:
                    missing[id] -= set(range(first, last + 1))
    return bool(missing) and not any(missing.values())


def _has_colour_space(data: bytes, segment: _Segment) -> bool:
    """Whether libjpeg reads the colour space from this segment: JFIF's or Adobe's."""
    name, least = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}.get(segment.marker, (b"", 0))
    return bool(name) and data.startswith(name, segment.start) and segment.end - segment.start >= least


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the first scan. Skips bytes between segments, as libjpeg does."""
    position = 2
    for _ in range(MAX_PARTS):
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            return
        marker = data[position + 1]
        if marker in (0x00, 0xFF) or marker in _NO_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if end < position + 4 or end > len(data) or (marker in _FRAMES and end < position + 10):
            position += 2  # a damaged length: look for the next segment
            continue
        yield _Segment(marker, position + 4, end)
        if marker == _SCAN:
            return
        position = end
    raise too_many_parts()
