"""Values that all formats share: the header, the cleaned file, and the errors."""

import hashlib
from dataclasses import dataclass
from typing import Literal

Format = Literal["PNG", "JPEG", "WebP", "GIF", "BMP"]


class PictureError(ValueError):
    """The bytes are not a usable picture. The message says why and what is expected."""


@dataclass(frozen=True, slots=True)
class Header:
    """Size and memory use of a picture, read without decoding it."""

    format: Format
    width: int
    height: int
    #: Bytes of each decoded pixel.
    pixel_bytes: int
    #: Bytes that the decoder needs beside the decoded picture.
    decoder_bytes: int = 0
    #: Bytes per pixel of the grey or RGB picture after conversion; 0 without one.
    converted_bytes: int = 0
    #: Whether the header states several frames; a GIF's does not.
    animated: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A picture file without metadata."""

    content: bytes
    #: The EXIF orientation, 1 to 8.
    orientation: int = 1
    #: Whether the file lacks its last bytes.
    cut: bool = False
    #: Two ends for a cut file whose decoder fills missing pixels without an error. If both give the same pixels, none
    #: depends on the missing bytes.
    ends: tuple[bytes, bytes] | None = None


#: One of two ends; the other is zeros. Missing data decodes to other pixels with each. The first bit is 1.
NOISE = b"\xdb" + hashlib.shake_128(b"end").digest(511).replace(b"\xff", b"\x5a")


#: Limit of segments, chunks or blocks: millions of tiny ones take seconds.
MAX_PARTS = 200_000


def animated() -> PictureError:
    """Make the error for a file with several frames, because the sender does not say which one counts."""
    return PictureError("the picture is animated; send one frame as a still picture")


def truncated(reason: object = "") -> PictureError:
    """Make the error for a file that lacks pixels or holds wrong ones."""
    return PictureError(f"the picture is truncated or corrupt: {reason}")


def too_many_parts() -> PictureError:
    """Make the error for a file of more parts than any program writes."""
    return PictureError(f"the picture's file has more than {MAX_PARTS} parts; save it again with another program")
