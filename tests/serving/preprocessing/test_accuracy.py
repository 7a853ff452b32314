"""Photos made from the Fashion-MNIST test set keep at least .85 of the originals' accuracy.

The shipped fashion_cnn runs as an ONNX export, and the pictures are prepared by the recipe on its model card.
"""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from serving.artifacts import model_card
from serving.onnx_runtime import onnxruntime
from serving.preprocessing import image
from tests.programs import shipped

VERSION = shipped("fashion_cnn")
COUNT = 200
Pixels = NDArray[np.uint8]
Variant = Callable[[Pixels, np.random.Generator], bytes]


def encoded(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def enlarged(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((600, 600), Image.Resampling.BICUBIC))


def on_background(pixels: Pixels, rng: np.random.Generator) -> Image.Image:
    """Draw a dark garment off centre on a light coloured background, 900×800."""
    garment = enlarged(pixels)
    background = rng.uniform([225, 215, 195], [250, 240, 230])
    canvas = np.broadcast_to(background, (800, 900, 3)).copy()
    top, left = rng.integers(0, 200), rng.integers(0, 300)
    canvas[top : top + 600, left : left + 600] *= 1 - garment[..., None] / 255
    return Image.fromarray((canvas + rng.normal(0, 2, canvas.shape)).clip(0, 255).astype(np.uint8))


VARIANTS: dict[str, Variant] = {
    "as they are": lambda pixels, rng: encoded(Image.fromarray(pixels), "PNG"),
    "enlarged to 600 px": lambda pixels, rng: encoded(Image.fromarray(enlarged(pixels)), "PNG"),
    "inverted": lambda pixels, rng: encoded(Image.fromarray(255 - pixels), "PNG"),
    "enlarged and inverted": lambda pixels, rng: encoded(Image.fromarray(255 - enlarged(pixels)), "PNG"),
    "off centre on coloured background, JPEG": lambda pixels, rng: encoded(on_background(pixels, rng), "JPEG"),
}


@pytest.fixture(scope="module")
def examples(data: Path) -> tuple[Pixels, NDArray[np.uint8]]:
    folder = data / "fashion-mnist"
    pixels = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return pixels.reshape(-1, 28, 28)[:COUNT], labels[:COUNT]


@pytest.mark.parametrize("name", VARIANTS)
def test_pictures_keep_the_accuracy(
    examples: tuple[Pixels, NDArray[np.uint8]], name: str, record_property: Callable[[str, object], None]
) -> None:
    pictures, labels = examples
    recipe = model_card.read(VERSION).image
    assert recipe
    session = onnxruntime.InferenceSession(VERSION / "assets.extra/model.onnx", providers=["CPUExecutionProvider"])

    def accuracy(variant: Variant) -> float:
        rng = np.random.default_rng(1)
        x = np.stack([image.decode(variant(picture, rng), recipe) for picture in pictures])
        return float((session.run(["probabilities"], {"image": x})[0].argmax(axis=1) == labels).mean())

    share = accuracy(VARIANTS[name]) / accuracy(VARIANTS["as they are"])
    record_property("share of the accuracy on the originals", share)
    print(f"{name}: {share:.3f} of the accuracy on the originals")
    assert share >= 0.85
