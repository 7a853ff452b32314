"""A job's hyper-parameters, and the ranges in which a sweep searches them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from training.core.errors import JobError


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a fit.

    The default seeds are the courses': NumPy 1, TensorFlow and Python 2.

    Attributes:
        epochs: number of epochs.
        batch_size: examples in a batch.
        learning_rate: initial learning rate.
        examples: maximum number of training examples; None for all.
        save_every: epochs between two checkpoints; above 1 where epochs are short.
        seed: seed of TensorFlow and Python.
        numpy_seed: seed of NumPy.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    examples: int | None = None
    save_every: int = 1
    seed: int = 2
    numpy_seed: int = 1

    def with_params(self, params: Mapping[str, float | int]) -> "Recipe":
        """Return a copy with these fields replaced.

        Raises:
            JobError: a field does not exist, or a value has the wrong type or is out of range.
        """
        known = [field.name for field in fields(self)]
        for name, value in params.items():
            if name not in known:
                raise JobError(f"there is no parameter {name}; there are: {', '.join(known)}")
            _check(name, value, whole=name != "learning_rate")
        changes: dict[str, Any] = dict(params)
        return replace(self, **changes)


def _check(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise JobError(f"parameter {name} is {value!r}; {'a whole number' if whole else 'a number'} is expected")
    least = 0 if name in ("seed", "numpy_seed") else 1
    if not (value >= least if whole else 0 < value < float("inf")):
        raise JobError(f"parameter {name} is {value!r}; {f'at least {least}' if whole else 'above 0'} is expected")


@dataclass(frozen=True)
class Range:
    """Range of a sweep for one field of a recipe, both ends included.

    On the scale ``power_of_two`` both ends and all candidates are powers of two. ``whole`` restricts to integers.
    """

    low: float
    high: float
    scale: Literal["linear", "log", "power_of_two"] = "log"
    whole: bool = False


LEARNING_RATE = Range(1e-4, 1e-1)
BATCH_SIZE = Range(8, 256, "power_of_two", whole=True)
