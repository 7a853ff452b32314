"""The fast path for plain grey PNGs does what Pillow's own reader does, or leaves the file to it."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.preprocessing import image
from serving.preprocessing.image import ImageRecipe, PictureError
from serving.preprocessing.picture_files.plain_png import read_grey

RECIPE = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True, cut_out=True)


def png(size: tuple[int, int], rows: bytes, parts: int = 1) -> bytes:
    """Write a PNG of filtered rows, its data in several chunks."""
    data = zlib.compress(rows)
    cuts = [len(data) * part // parts for part in range(parts + 1)]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)),
        *((b"IDAT", data[start:end]) for start, end in itertools.pairwise(cuts)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_pixels_are_those_of_pillow(data: st.DataObject) -> None:
    """Every filter of a row (none, sub, up, average, Paeth), sizes and numbers of chunks."""
    width, height = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 40)))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows = random.integers(0, 256, (height, width + 1)).astype(np.uint8)
    rows[:, 0] %= 5
    file = png((width, height), rows.tobytes(), parts=data.draw(st.integers(1, 4)))
    found, expected = read_grey(file, 10_000), np.asarray(Image.open(io.BytesIO(file)))
    assert found is not None and found.size == (width, height)
    assert (np.frombuffer(found.content, np.uint8).reshape(height, width) == expected).all()
    assert found.contrast == int(expected.max()) - int(expected.min())
    assert (np.asarray(image.read(file)) == expected).all()


def test_short_and_damaged_data_is_left_to_the_general_reader() -> None:
    whole = bytes(29 * 28)
    for rows in (whole[:-40], b"\x07" * len(whole)):
        file = png((28, 28), rows)
        assert read_grey(file, 10_000) is None
        with pytest.raises(PictureError):
            image.decode(file, RECIPE)
    assert read_grey(png((28, 28), whole), 100) is None
    flipped = bytearray(png((28, 28), whole))
    flipped[60] ^= 1
    assert read_grey(bytes(flipped), 10_000) is None


@pytest.mark.parametrize("polarity", ["auto", "light_on_dark", "dark_on_light"])
@pytest.mark.parametrize("side", [28, 40])
def test_both_readers_give_the_same_input(side: int, polarity: image.Polarity) -> None:
    pixels = np.zeros((side, side), np.uint8)
    pixels[8:20, 6:18] = np.arange(12) * 15 + 60
    for grey in (pixels, 255 - pixels):
        plain, other = io.BytesIO(), io.BytesIO()
        Image.fromarray(grey).save(plain, "PNG")
        Image.fromarray(grey).save(other, "BMP")
        assert read_grey(plain.getvalue(), 10_000) is not None
        found, expected = (image.decode(file.getvalue(), RECIPE, polarity) for file in (plain, other))
        assert (found == expected).all()
    blank = io.BytesIO()
    Image.new("L", (side, side), 7).save(blank, "PNG")
    with pytest.raises(PictureError, match="blank"):
        image.decode(blank.getvalue(), RECIPE, polarity)
