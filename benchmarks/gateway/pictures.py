"""The pictures that are posted, and what a right answer to each is.

A server that gives one caller another caller's answer must not pass. So the pictures are chosen to be told apart by
their answers: no two of the same class have probabilities nearer to each other than twice the tolerance.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from serving import card, images
from training.data import fashion_mnist

TOLERANCE = 1e-3
_FEWEST = 64  # as many as may be on their way at once


@dataclass(frozen=True)
class Picture:
    """A PNG of 28×28 grey pixels, and the model's answer to it: class, its probability, and those of all classes."""

    png: bytes
    label: str
    probability: float
    probabilities: Mapping[str, float]


def load(version_directory: Path, at_most: int) -> tuple[list[Picture], str]:
    """The pictures, and where they are from: Fashion-MNIST's test set where VITRINE_DATA has it, else generated.

    Raises:
        SystemExit: too few can be told apart.
    """
    examples = fashion_mnist.load(stand_in="VITRINE_DATA" not in os.environ)
    pixels = examples.test[0]
    probabilities = _offline(version_directory, pixels)
    labels = card.read(version_directory).labels
    chosen: list[Picture] = []
    for index in np.random.default_rng(0).permutation(_distinct(probabilities)).tolist():
        png = _png(pixels[index])
        # The gateway brings pictures to the model's input (polarity, crop); the peers do not. Ask what both see alike.
        if len(chosen) < at_most and np.array_equal(images.decode(png, fashion_mnist.RECIPE), pixels[index]):
            row = probabilities[index].tolist()
            best = int(np.argmax(row))
            chosen.append(Picture(png, labels[best], row[best], dict(zip(labels, row, strict=True))))
    if len(chosen) < _FEWEST:
        raise SystemExit(f"only {len(chosen)} pictures can be told apart by their answers; {_FEWEST} are needed")
    stand_in = examples.data.stand_in
    return chosen, f"{examples.data.name} test set" if stand_in is None else f"generated: {stand_in}"


def _offline(version_directory: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The twin's probabilities, one picture at a time, so that nothing can be mixed up here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    twin = version_directory / "assets.extra" / "model.onnx"
    session = onnxruntime.InferenceSession(str(twin), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["probabilities"], {"image": picture[None]})[0] for picture in pixels])


def _distinct(probabilities: NDArray[np.float32]) -> list[int]:
    """Rows of which no two have the same class with about the same probability."""
    classes, best = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kept: list[int] = []
    for index in np.lexsort((best, classes)).tolist():
        last = kept[-1] if kept else None
        if last is None or classes[last] != classes[index] or best[index] - best[last] > 2.5 * TOLERANCE:
            kept.append(index)
    return kept


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    return file.getvalue()
