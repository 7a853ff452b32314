"""Decode and classify a picture, the same way in each peer.

It runs in each peer's environment, so it imports only numpy, onnxruntime and Pillow, and pydantic for photos.
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

_NPY = b"\x93NUMPY"


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


def pixels(file: bytes) -> NDArray[np.uint8]:
    """Decode a picture to [28, 28]: a small one by Pillow alone, a photo as the gateway does, for equal answers."""
    picture = Image.open(io.BytesIO(file))
    return np.asarray(picture) if picture.size == (28, 28) else _photo(file)


def _photo(file: bytes) -> NDArray[np.uint8]:
    from serving.preprocessing import image

    recipe = image.ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True, cut_out=True)
    return image.decode(file, recipe)[..., 0]


def rows(body: bytes) -> Sequence[NDArray[np.uint8]]:
    """Read the pictures of a body: one file, or an npy array [N, 28, 28, 1]."""
    return np.load(io.BytesIO(body))[..., 0] if body.startswith(_NPY) else [pixels(body)]


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
