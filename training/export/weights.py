"""The weights of a published version, put back into a Keras model of the same build.

A version carries no Keras weights file: its variables are read from the SavedModel itself, where each stands under the
path that it had in Keras. Keras numbers layers through a whole process (``dense`` in one is ``dense_7`` in another), so
the layers of each kind are counted anew, in order, before paths are compared.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from training.core.errors import JobError


def restore(model: keras.Model, version: Path) -> None:
    """Set all weights of the model to those of the version directory.

    Raises:
        JobError: the version cannot be loaded, or is not the same net; nothing was set then.
    """
    try:
        loaded = tf.saved_model.load(str(version))
        variables = loaded.signatures["serving_default"].variables
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise JobError(f"the weights of {_name(version)} cannot be read: {error}") from None
    there = dict(zip(_counted(variable.name.removesuffix(":0") for variable in variables), variables, strict=True))
    wanted = dict(zip(_counted(weight.path for weight in model.weights), model.weights, strict=True))
    differing = [
        f"{path}: {_shape(there.get(path))} is there, {_shape(wanted.get(path))} is expected"
        for path in sorted(there.keys() | wanted.keys())
        if _shape(there.get(path)) != _shape(wanted.get(path))
    ]
    if differing:
        raise JobError(f"the weights of {_name(version)} do not fit: {'; '.join(differing[:5])}")
    for path, weight in wanted.items():
        weight.assign(there[path].numpy())


def _name(version: Path) -> str:
    return f"{version.parent.name} version {version.name}"


def _shape(variable: tf.Variable | keras.Variable | None) -> str:
    return "none" if variable is None else str(tuple(variable.shape))


def _counted(paths: Iterable[str]) -> list[str]:
    """``dense_4/kernel``, ``dense_7/kernel`` → ``dense_0/kernel``, ``dense_1/kernel``."""
    parts = []
    for path in paths:
        layer, _, rest = path.partition("/")
        kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer).groups()  # type: ignore[union-attr]
        parts.append((kind, int(number or 0), rest))
    numbers: dict[str, set[int]] = {}
    for kind, number, _ in parts:
        numbers.setdefault(kind, set()).add(number)
    return [f"{kind}_{sorted(numbers[kind]).index(number)}/{rest}" for kind, number, rest in parts]
