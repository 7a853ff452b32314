"""JPEG: header, and the file without application segments and comments."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from serving.preprocessing.picture_files import orientation
from serving.preprocessing.picture_files.header import (
    MOST_PARTS,
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
    """Size at full scale and memory use.

    Libjpeg keeps the coefficients of a picture that comes in several scans.

    Raises:
        PictureError: no frame header before the first scan, or one that the decoder does not read.
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
        return _header(data, frame, in_one_scan=True)  # decoding it says what is missing
    raise PictureError("the picture cannot be read: the JPEG has no frame header")


def _header(data: bytes, frame: _Segment, *, in_one_scan: bool) -> Header:
    bits, height, width, count = struct.unpack_from(">BHHB", data, frame.start)
    if bits != 8:
        raise PictureError(f"the picture is a JPEG of {bits} bits per channel; save it as an ordinary JPEG of 8 bits")
    sampling = [data[place] for place in range(frame.start + 7, frame.end, 3)][:count]
    across, down = ([value >> 4 for value in sampling], [value & 15 for value in sampling])
    if count not in (1, 3, 4) or len(sampling) != count or not all(across) or not all(down) or not width * height:
        raise PictureError("the picture cannot be read: the JPEG's frame header is damaged")
    coefficients = 0
    if frame.marker in _PROGRESSIVE or not in_one_scan:
        units = -(-width // (8 * max(across))) * -(-height // (8 * max(down)))
        coefficients = sum(units * h * v * 128 for h, v in zip(across, down, strict=True))
    return Header("JPEG", width, height, 1 if count == 1 else 4, coefficients, 4 if count == 4 else 0)


def clean(data: bytes) -> Cleaned:
    """The segments that the decoder needs, and the orientation.

    Raises:
        PictureError: the end marker and whole scans are missing.
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
        if marker in _FRAMES or marker in _TABLES or _says_colours(data, segment):
            parts += (bytes((0xFF, marker)), content[segment.start - 2 : segment.end])
        elif marker == 0xE1 and data.startswith(b"Exif\0", segment.start):  # some write another byte than \0 after it
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
    """Whether the scans in the file make up a picture to its last coefficient bit."""
    missing: dict[int, set[int]] = {}  # component → coefficients that lack bits
    place = 2
    for _ in range(MOST_PARTS):
        found = _MARKER.search(data, place)
        if found is None or found.end() + 2 > len(data):
            break
        marker, start = data[found.start() + 1], found.end() + 2
        place = start - 2 + int.from_bytes(data[start - 2 : start], "big")
        if marker in _FRAMES:
            missing = {data[id]: set(range(64)) for id in range(start + 6, place, 3)}
        elif marker == _SCAN and place <= len(data):
            first, last, bits = data[place - 3 : place]
            for id in data[start + 1 : place - 3 : 2]:
                if bits & 15 == 0 and id in missing:
                    missing[id] -= set(range(first, last + 1))
    return bool(missing) and not any(missing.values())


def _says_colours(data: bytes, segment: _Segment) -> bool:
    """Whether libjpeg takes the colour space from this segment: JFIF's or Adobe's."""
    name, least = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}.get(segment.marker, (b"", 0))
    return bool(name) and data.startswith(name, segment.start) and segment.end - segment.start >= least


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to the first scan.

    Skips bytes that belong to none, as libjpeg does.
    """
    place = 2
    for _ in range(MOST_PARTS):
        place = data.find(b"\xff", place)
        if place < 0 or place + 4 > len(data):
            return
        marker = data[place + 1]
        if marker in (0x00, 0xFF) or marker in _NO_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if end < place + 4 or end > len(data) or (marker in _FRAMES and end < place + 10):
            place += 2  # a damaged length: look for the next segment
            continue
        yield _Segment(marker, place + 4, end)
        if marker == _SCAN:
            return
        place = end
    raise too_many_parts()
