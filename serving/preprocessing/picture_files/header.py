"""What a picture file's header states, and the file without its metadata."""

import hashlib
from dataclasses import dataclass
from typing import Literal

Format = Literal["PNG", "JPEG", "WebP", "GIF", "BMP"]


class PictureError(ValueError):
    """The bytes are not a usable picture; the message says why and what is expected."""


@dataclass(frozen=True, slots=True)
class Header:
    """Size and memory use of a picture, read without decoding it."""

    format: Format
    width: int
    height: int
    #: Bytes that are kept for each decoded pixel.
    pixel_bytes: int
    #: Bytes that the decoder needs beside the decoded picture until it is done.
    decoder_bytes: int = 0
    #: Bytes per pixel of the grey or RGB picture that the decoded one is converted to; 0 if it is one already.
    converted_bytes: int = 0
    #: Whether the header tells of several frames; a GIF's does not.
    animated: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A picture file that holds pixels alone."""

    content: bytes
    #: The EXIF orientation, 1 to 8.
    orientation: int = 1
    #: Whether bytes are missing at the file's end.
    cut: bool = False
    #: Two ends for a cut file whose decoder fills missing pixels without an error. If the pixels are the same with
    #: both, none depends on what is missing.
    ends: tuple[bytes, bytes] | None = None


#: One of two ends, the other being zeros: a decoder that lacks data makes other pixels of them. The first bit is 1.
NOISE = b"\xdb" + hashlib.shake_128(b"end").digest(511).replace(b"\xff", b"\x5a")


#: Most segments, chunks or blocks that are looked at: walking through millions of tiny ones takes seconds.
MOST_PARTS = 200_000


def animated() -> PictureError:
    """The error for a file with several frames: nobody says which one is meant."""
    return PictureError("the picture is animated; send one frame as a still picture")


def truncated(reason: object = "") -> PictureError:
    """The error for a file that lacks pixels or holds wrong ones."""
    return PictureError(f"the picture is truncated or corrupt: {reason}")


def too_many_parts() -> PictureError:
    """The error for a file of more parts than any program writes."""
    return PictureError(f"the picture's file has more than {MOST_PARTS} parts; save it again with another program")
