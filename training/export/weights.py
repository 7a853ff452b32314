"""Restore the weights of a published version into a Keras model.

A version has no Keras weights file; the variables come from the SavedModel, where they keep their Keras paths. Keras
numbers layers per process (``dense`` in one is ``dense_7`` in another), so the layers of each kind are renumbered in
order before paths are compared.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from training.core.errors import JobError


def restore(model: keras.Model, version: Path) -> None:
    """Set all weights of the model to those of a version directory.

    Raises:
        JobError: the version cannot be loaded or has other weights; the model is unchanged.
    """
    try:
        loaded = tf.saved_model.load(str(version))
        variables = loaded.signatures["serving_default"].variables
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise JobError(f"the weights of {_name(version)} cannot be read: {error}") from None
    saved = dict(zip(_renumber(variable.name.removesuffix(":0") for variable in variables), variables, strict=True))
    expected = dict(zip(_renumber(weight.path for weight in model.weights), model.weights, strict=True))
    differing = [
        f"{path}: {_shape(saved.get(path))} was found, {_shape(expected.get(path))} is expected"
        for path in sorted(saved.keys() | expected.keys())
        if _shape(saved.get(path)) != _shape(expected.get(path))
    ]
    if differing:
        raise JobError(f"the weights of {_name(version)} do not fit: {'; '.join(differing[:5])}")
    for path, weight in expected.items():
        weight.assign(saved[path].numpy())


def _name(version: Path) -> str:
    return f"{version.parent.name} version {version.name}"


def _shape(variable: tf.Variable | keras.Variable | None) -> str:
    return "none" if variable is None else str(tuple(variable.shape))


def _renumber(paths: Iterable[str]) -> list[str]:
    """Renumber ``dense_4/kernel``, ``dense_7/kernel`` as ``dense_0``, ``dense_1``."""
    parts = []
    for path in paths:
        layer, _, rest = path.partition("/")
        kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer).groups()  # type: ignore[union-attr]
        parts.append((kind, int(number or 0), rest))
    numbers: dict[str, set[int]] = {}
    for kind, number, _ in parts:
        numbers.setdefault(kind, set()).add(number)
    return [f"{kind}_{sorted(numbers[kind]).index(number)}/{rest}" for kind, number, rest in parts]
