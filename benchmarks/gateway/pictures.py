"""The pictures of the requests, and the correct response to each.

A response identifies its picture, so that a response to the wrong caller is detected: the probabilities of two pictures
of the same class differ by more than twice the tolerance.
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

from benchmarks.gateway.target import Target
from serving.artifacts import model_card
from serving.onnx_runtime import onnxruntime
from serving.preprocessing import image
from training.data import fashion_mnist

TOLERANCE = 1e-3
_FEWEST = 64  # maximum of concurrent requests


@dataclass(frozen=True)
class Picture:
    """A picture file, and the model's prediction: the class, its probability, and all probabilities."""

    file: bytes
    label: str
    probability: float
    probabilities: Mapping[str, float]

    def request(self, target: Target) -> bytes:
        return target.picture(self.file)

    def check(self, body: bytes) -> str:
        """Say what is wrong with a response body. Empty if it is correct."""
        try:
            (prediction,) = predictions(json.loads(body))
            return self.compare(prediction)
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"the body is not a prediction: {body[:200]!r}"

    def compare(self, prediction: Mapping[str, Any]) -> str:
        """Say what is wrong with this picture's prediction in a response. Empty if it is correct."""
        label, probability, found = prediction["label"], prediction["probability"], prediction["probabilities"]
        right = (
            label == self.label
            and abs(probability - self.probability) <= TOLERANCE
            and found.keys() == self.probabilities.keys()
            and all(abs(found[name] - value) <= TOLERANCE for name, value in self.probabilities.items())
        )
        return "" if right else f"{label} {probability:.4f} instead of {self.label} {self.probability:.4f}"


def predictions(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the predictions of a response in the gateway's form or in the Open Inference Protocol's."""
    if "outputs" in document:
        return [json.loads(text) for text in document["outputs"][0]["data"]]
    found: Sequence[Mapping[str, Any]] = document["predictions"]
    return found


def load(version_directory: Path, at_most: int) -> tuple[list[Picture], str]:
    """Load pictures of Fashion-MNIST's test set, or generated ones without VITRINE_DATA. Returns them and their origin.

    Raises:
        SystemExit: Too few pictures have distinct responses.
    """
    examples = fashion_mnist.load(stand_in="VITRINE_DATA" not in os.environ)
    pixels = examples.test[0]
    probabilities = offline(version_directory, pixels, "probabilities")
    labels = model_card.read(version_directory).labels
    chosen: list[Picture] = []
    for index in np.random.default_rng(0).permutation(_distinct(probabilities)).tolist():
        png = _png(pixels[index])
        # Only the gateway corrects polarity and crop. Choose pictures that need neither.
        if len(chosen) < at_most and np.array_equal(image.decode(png, fashion_mnist.RECIPE), pixels[index]):
            chosen.append(picture(png, labels, probabilities[index].tolist()))
    if len(chosen) < _FEWEST:
        raise SystemExit(f"only {len(chosen)} pictures have distinct responses; {_FEWEST} are needed")
    stand_in = examples.data.stand_in
    return chosen, f"{examples.data.name} test set" if stand_in is None else f"generated: {stand_in}"


def picture(encoded: bytes, labels: Sequence[str], row: Sequence[float]) -> Picture:
    """Make a picture with these probabilities as the correct response."""
    best = int(np.argmax(row))
    return Picture(encoded, labels[best], row[best], dict(zip(labels, row, strict=True)))


def offline(version_directory: Path, pixels: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
    """Run the ONNX export on one picture at a time. Returns the output, [N, …]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    export = version_directory / "assets.extra" / "model.onnx"
    session = onnxruntime.InferenceSession(str(export), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([output], {"image": picture[None]})[0] for picture in pixels])


def _distinct(probabilities: NDArray[np.float32]) -> list[int]:
    """Select rows of which no two have the same class with about the same probability."""
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
