"""Decode and classify a picture, the same way in each peer.

It runs in each peer's environment, so it imports only numpy, onnxruntime and Pillow.
"""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image


class Classifier:
    """The ONNX export of a version, on one thread."""

    def __init__(self, version_directory: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        export = version_directory / "assets.extra" / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(export), options, providers=["CPUExecutionProvider"])
        self._names = labels(version_directory)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        """Predict each picture of [28, 28]."""
        (rows,) = self._session.run(["probabilities"], {"image": np.stack(pictures)[..., None]})
        return [prediction(self._names, row) for row in rows.tolist()]


def pixels(png: bytes) -> NDArray[np.uint8]:
    """Decode a PNG to [28, 28]."""
    return np.asarray(Image.open(io.BytesIO(png)))


def from_instance(instance: dict[str, str]) -> NDArray[np.uint8]:
    """Decode the picture in one of TensorFlow Serving's ``instances``, ``{"b64": …}``."""
    return pixels(base64.b64decode(instance["b64"]))


def labels(version_directory: Path) -> tuple[str, ...]:
    """Read the class names from the model card."""
    return tuple(json.loads((version_directory / "assets" / "card.json").read_text())["labels"])


def prediction(names: tuple[str, ...], probabilities: list[float]) -> dict[str, Any]:
    """Return a picture's prediction in the gateway's form."""
    index = max(range(len(names)), key=probabilities.__getitem__)
    return {
        "label": names[index],
        "index": index,
        "probability": probabilities[index],
        "probabilities": dict(zip(names, probabilities, strict=True)),
    }


def answer(predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the response in the gateway's form."""
    return {"predictions": predictions}
