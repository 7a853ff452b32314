"""A job's hyper-parameters, and the ranges in which a sweep searches them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from training.core.errors import JobError

#: Keras' class names of optimisers, by their names in a recipe.
OPTIMIZERS = {"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}
#: Value of a recipe's field.
Param = float | int | str


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
        optimizer: a key of :data:`OPTIMIZERS`; None for the job's own.
        momentum: of sgd and rmsprop, 0 to below 1.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    examples: int | None = None
    save_every: int = 1
    seed: int = 2
    numpy_seed: int = 1
    optimizer: str | None = None
    momentum: float | None = None

    def with_params(self, params: Mapping[str, Param]) -> "Recipe":
        """Return a copy with these fields replaced.

        Raises:
            JobError: a field does not exist, or a value has the wrong type or is out of range.
        """
        known = [field.name for field in fields(self)]
        for name, value in params.items():
            if name not in known:
                raise JobError(f"there is no parameter {name}; there are: {', '.join(known)}")
            if name == "optimizer":
                _check_optimizer(value)
            else:
                _check(name, value, whole=name not in ("learning_rate", "momentum"))
        changes: dict[str, Any] = dict(params)
        recipe = replace(self, **changes)
        if recipe.momentum is not None and recipe.optimizer not in ("sgd", "rmsprop"):
            raise JobError(f"parameter momentum needs the optimizer sgd or rmsprop; it is {recipe.optimizer}")
        return recipe


def _check_optimizer(value: object) -> None:
    if value not in OPTIMIZERS:
        raise JobError(f"parameter optimizer is {value!r}; {', '.join(OPTIMIZERS)} are possible")


def _check(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise JobError(f"parameter {name} is {value!r}; {'a whole number' if whole else 'a number'} is expected")
    if name == "momentum":
        if not 0 <= value < 1:
            raise JobError(f"parameter momentum is {value!r}; 0 to below 1 is expected")
        return
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


@dataclass(frozen=True)
class Choices:
    """Names among which a sweep chooses."""

    names: tuple[str, ...]


LEARNING_RATE = Range(1e-4, 1e-1)
BATCH_SIZE = Range(8, 256, "power_of_two", whole=True)
OPTIMIZER = Choices(tuple(OPTIMIZERS))
MOMENTUM = Range(0.0, 0.99, "linear")  # searched for sgd only
