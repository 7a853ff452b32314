"""Inputs that no training data looks like, to measure how well typicality finds them."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from serving.preprocessing.image import ImageRecipe, PictureError, decode
from training.core.array import Array
from training.data import sources

_ROWS = 500
_FEW_ROWS, _LARGE = 100, 128  # rows of pictures with at least this many pixels a side
#: Files in VITRINE_DATA, by name of the set; a data set whose name starts so is not foreign to itself.
_PHOTOGRAPHS = {"CIFAR-10": "cifar-10-jpeg.zip", "clothing": "clothing-dataset-small.zip"}
_DIGITS, _DIGITS_FILE = "MNIST", "mnist.npz"


def pictures(recipe: ImageRecipe, trained_on: str) -> Mapping[str, Array]:
    """Return sets of pictures uint8 [n, height, width, channels] by name.

    ``noise`` and ``blank`` are generated. ``MNIST`` (digits 1 to 9; a 0 looks like an O), ``CIFAR-10`` and ``clothing``
    (photographs) are included if VITRINE_DATA has them; the preprocessing of the gateway prepares them.

    Args:
        recipe: the model's input.
        trained_on: name of the training data, which is left out.
    """
    shape = (recipe.height, recipe.width, recipe.channels)
    count = _FEW_ROWS if recipe.height >= _LARGE else _ROWS
    rng = np.random.default_rng(0)
    levels = np.linspace(0, 255, min(count, 256)).astype(np.uint8)
    sets = {
        "noise": rng.integers(0, 256, (count, *shape), np.uint8),
        "blank": np.ones((1, *shape), np.uint8) * levels[:, None, None, None],
    }
    found: dict[str, Iterable[bytes]] = {}
    if path := sources.local(_DIGITS_FILE):
        found[_DIGITS] = _digits(path, count, rng)
    for name, file in _PHOTOGRAPHS.items():
        if path := sources.local(file):
            found[name] = _photographs(path, count, rng)
    for name, encoded in found.items():
        if not trained_on.lower().startswith(name.lower()) and (prepared := list(_prepared(encoded, recipe))):
            sets[name] = np.stack(prepared)
    return sets


def signals(train: Array) -> Mapping[str, Array]:
    """Return ``noise`` of the training part's mean and spread, and ``constant`` signals of its range."""
    rng = np.random.default_rng(0)
    levels = np.linspace(train.min(), train.max(), 256)
    return {
        "noise": rng.normal(train.mean(), train.std(), (_ROWS, *train.shape[1:])).astype(np.float32),
        "constant": (np.ones((1, *train.shape[1:])) * levels[:, None, None]).astype(np.float32),
    }


def auroc(own: Array, foreign: Array) -> float:
    """Return the share of pairs in which the own row has the greater typicality; equal ones count half."""
    ordered = np.sort(foreign)
    below, up_to = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
    return float((below + up_to).mean() / 2 / len(foreign))


def _prepared(encoded: Iterable[bytes], recipe: ImageRecipe) -> Iterator[Array]:
    for data in encoded:
        try:
            yield decode(data, recipe)
        except PictureError:  # the gateway refuses it
            continue


def _digits(path: Path, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    with np.load(path) as arrays:
        digits, labels = arrays["x_test"], arrays["y_test"]
    for index in rng.permutation(np.flatnonzero(labels > 0))[:count]:
        file = io.BytesIO()
        Image.fromarray(digits[index]).save(file, "PNG")
        yield file.getvalue()


def _photographs(path: Path, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if "test/" in name and name.endswith(".jpg"))
        for index in rng.permutation(len(names))[:count]:
            yield archive.read(names[index])
