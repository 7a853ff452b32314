"""The pictures that are posted, and what a right answer to each is.

A server that gives one caller another caller's answer must not pass. So the pictures are chosen to be told apart by
their answers: no two of the same class have probabilities nearer to each other than twice the tolerance.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.gateway.load import Target
from serving.artifacts import model_card as card
from serving.onnx_runtime import onnxruntime
from serving.preprocessing import image as images
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

    def request(self, target: Target) -> bytes:
        return target.picture(self.png)

    def check(self, body: bytes) -> str:
        """What is wrong with an answer; empty where nothing is."""
        try:
            document = json.loads(body)
            if "outputs" in document:  # the Open Inference Protocol
                predictions = [json.loads(text) for text in document["outputs"][0]["data"]]
            else:
                predictions = document["predictions"]
            (prediction,) = predictions
            return self.compare(prediction)
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"not the form of an answer: {body[:200]!r}"

    def compare(self, prediction: Mapping[str, Any]) -> str:
        """What is wrong with this picture's part of an answer."""
        label, probability, found = prediction["label"], prediction["probability"], prediction["probabilities"]
        right = (
            label == self.label
            and abs(probability - self.probability) <= TOLERANCE
            and found.keys() == self.probabilities.keys()
            and all(abs(found[name] - value) <= TOLERANCE for name, value in self.probabilities.items())
        )
        return "" if right else f"{label} {probability:.4f} in place of {self.label} {self.probability:.4f}"


def load(version_directory: Path, at_most: int) -> tuple[list[Picture], str]:
    """The pictures, and where they are from: Fashion-MNIST's test set where VITRINE_DATA has it, else generated.

    Raises:
        SystemExit: too few can be told apart.
    """
    examples = fashion_mnist.load(stand_in="VITRINE_DATA" not in os.environ)
    pixels = examples.test[0]
    probabilities = offline(version_directory, pixels, "probabilities")
    labels = card.read(version_directory).labels
    chosen: list[Picture] = []
    for index in np.random.default_rng(0).permutation(_distinct(probabilities)).tolist():
        png = _png(pixels[index])
        # The gateway brings pictures to the model's input (polarity, crop); the peers do not. Ask what both see alike.
        if len(chosen) < at_most and np.array_equal(images.decode(png, fashion_mnist.RECIPE), pixels[index]):
            chosen.append(picture(png, labels, probabilities[index].tolist()))
    if len(chosen) < _FEWEST:
        raise SystemExit(f"only {len(chosen)} pictures can be told apart by their answers; {_FEWEST} are needed")
    stand_in = examples.data.stand_in
    return chosen, f"{examples.data.name} test set" if stand_in is None else f"generated: {stand_in}"


def picture(encoded: bytes, labels: Sequence[str], row: Sequence[float]) -> Picture:
    """The picture to which these probabilities are the right answer."""
    best = int(np.argmax(row))
    return Picture(encoded, labels[best], row[best], dict(zip(labels, row, strict=True)))


def offline(version_directory: Path, pixels: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
    """The twin's output, one picture at a time, so that nothing can be mixed up here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    twin = version_directory / "assets.extra" / "model.onnx"
    session = onnxruntime.InferenceSession(str(twin), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([output], {"image": picture[None]})[0] for picture in pixels])


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
