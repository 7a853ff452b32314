"""16-bit PNG pictures whose values use only some of the bits."""

from collections.abc import Sequence

from PIL import Image

_HOT_SHARE = 2000  # one of so many pixels may be a camera's hot pixel


def is_dark_16_bit(content: bytes, picture: Image.Image) -> bool:
    """Whether the high bytes of 16-bit colour leave bits unused. Pillow decodes the high bytes alone."""
    if content[24] != 16 or content[25] == 0:
        return False
    return all(bits(picture.getchannel(band).histogram()) < 16 for band in "RGB")


def bits(high_bytes: Sequence[int]) -> int:
    """Return the number of bits, 8 to 16, that the values of a 16-bit picture use.

    Cameras and scanners store 8 to 14 bits without scaling. A camera's few hot pixels do not count.

    Args:
        high_bytes: Number of pixels by the high byte of their value, 256 counts.
    """
    left = sum(high_bytes) // _HOT_SHARE
    for most in range(255, 0, -1):
        left -= high_bytes[most]
        if left < 0:
            return 8 + most.bit_length()
    return 8


def low_bytes(content: bytes) -> tuple[str, str]:
    """Return Pillow's raw mode for the low bytes of 16-bit colour, and their bands.

    Grey with alpha has no such mode: its four bytes decode as RGBA.
    """
    return {2: ("RGB;16L", "RGB"), 4: ("RGBA", "GGGA"), 6: ("RGBA;16L", "RGBA")}[content[25]]
