"""Memory of decoding, compared with the estimate of :func:`serving.preprocessing.memory_cost.cost`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from serving.preprocessing.image import ImageRecipe, PictureError, cost, decode
from tests.serving.preprocessing.picture_files.files import encoded, png, rows

SIDE = 2600
GREY = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True)
INK = ImageRecipe(height=32, width=32, channels=1, colour="ink", crop=True, margin=0.1)
RGB = ImageRecipe(height=32, width=32, channels=3, colour="rgb")
LARGE = ImageRecipe(height=1024, width=1024, channels=1, colour="grey")
RECIPES = {"grey": GREY, "ink": INK, "rgb": RGB, "none": None}

# A new process for each file, because memory that an earlier picture freed would hide the use.
_MEASURE = """
import json, sys
from pathlib import Path
from serving.preprocessing.image import ImageRecipe, decode, read
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

def status(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024

data, recipe = Path(sys.argv[1]).read_bytes(), json.loads(sys.argv[2])
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
decode(data, ImageRecipe(**recipe)) if recipe else read(data)
print(status("VmHWM") - before)
"""


def scene(mode: str) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE - 300), (240, 235, 230))
    ImageDraw.Draw(picture).line((400, 300, 2000, 1900), fill=(20, 30, 120), width=150)
    if mode == "RGBA":
        picture.putalpha(200)
    return picture.quantize(16) if mode == "P" else picture.convert(mode)


def in_16_bits(kind: int, shift: int) -> bytes:
    values = (np.asarray(scene("L")).astype(np.uint16) << shift).astype(">u2")
    planes = np.repeat(values[..., None], {0: 1, 2: 3}[kind], axis=2)
    return png(SIDE, SIDE - 300, 16, kind, rows(planes))


FILES = {
    **{f"PNG {mode}": lambda mode=mode: encoded(scene(mode)) for mode in ("1", "L", "P", "LA", "RGB", "RGBA")},
    "PNG grey of 16 bits": lambda: in_16_bits(0, 8),
    "PNG colour of 12 in 16 bits": lambda: in_16_bits(2, 4),
    **{
        f"JPEG {mode}{' progressive' * progressive}": lambda mode=mode, progressive=progressive: encoded(
            scene(mode), "JPEG", progressive=progressive
        )
        for mode in ("L", "RGB", "CMYK") for progressive in (False, True)
    },
    "WebP": lambda: encoded(scene("RGB"), "WEBP", method=0),
    "WebP lossless": lambda: encoded(scene("RGBA"), "WEBP", lossless=True, method=0, quality=0),
    "GIF": lambda: encoded(scene("P"), "GIF"),
    "BMP": lambda: encoded(scene("RGB"), "BMP"),
    "BMP P": lambda: encoded(scene("P"), "BMP"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_decoding_takes_no_more_memory_than_estimated(name: str, tmp_path: Path) -> None:
    data = FILES[name]()
    file = tmp_path / "picture"
    file.write_bytes(data)
    for title, recipe in (RECIPES | ({"large": LARGE} if name == "PNG L" else {})).items():
        estimated = cost(data, recipe)
        document = json.dumps(recipe.model_dump() if recipe else None)
        done = subprocess.run([sys.executable, "-c", _MEASURE, str(file), document], capture_output=True, check=True)
        measured = int(done.stdout)
        # The interpreter allocates too, and the estimate includes a copy of the file that is not always made.
        assert measured <= estimated + 7_000_000, (title, measured, estimated)
        if estimated > 20_000_000:
            assert estimated <= 1.25 * measured + len(data) + 4_000_000, (title, measured, estimated)


def test_small_pictures_need_little_memory() -> None:
    assert cost(encoded(Image.new("L", (28, 28))), GREY) < 50_000
    assert cost(encoded(Image.new("RGB", (32, 32)), "JPEG"), RGB) < 50_000


def bomb(width: int, height: int, depth: int = 8, kind: int = 2) -> bytes:
    return png(width, height, depth, kind, b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(5001, 5000), "5001×5000 pixels; at most 25000000"),
        (bomb(100_000, 100_000), "at most 25000000"),
        (encoded(Image.new("RGB", (3600, 3600)), "WEBP", method=0), "needs 207 MB to be decoded; at most 200 MB"),
    ],
)
def test_pictures_that_need_too_much_memory_are_rejected_by_their_header(data: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        decode(data, RGB)


def test_a_phones_jpeg_of_many_pixels_is_read() -> None:
    picture = Image.new("L", (12_000, 9_000), 255)
    ImageDraw.Draw(picture).line((1000, 1000, 9000, 7000), fill=0, width=700)
    data = encoded(picture, "JPEG")
    for recipe in (GREY, INK, RGB):
        assert decode(data, recipe).max() > 100
        assert cost(data, recipe) < 20_000_000 + len(data)
    with pytest.raises(PictureError, match="12000×9000 pixels; at most 10000000"):
        decode(data, RGB, max_pixels=10_000_000)


def test_a_line_of_pixels_makes_no_large_frame() -> None:
    pixels = np.zeros((1, 3_000_000), np.uint8)
    pixels[:, :1_500_000] = 255
    data = encoded(Image.fromarray(pixels).convert("RGB"))
    for recipe in (GREY, INK, RGB, LARGE):
        assert cost(data, recipe) < 250_000_000
    assert decode(data, RGB).shape == (32, 32, 3)
