"""What a training job is: data, model, recipe, what it must reach, and how it is served.

A job is a value, built at the foot of its own file in ``training/jobs/`` from functions that carry the same names in
every job: ``load``, ``build``, ``evaluate``, ``serve``. :mod:`training.core.pipeline` takes it from there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import Data, Distribution
from training.core.gate import GatePolicy

if TYPE_CHECKING:
    import keras

    from training.export.servable import ExportedModel

Array = NDArray[Any]


class JobError(Exception):
    """The job cannot be run as asked; the message says why and what would help."""


class WorkerLost(JobError):
    """Another worker of the same fit is gone. Nothing is wrong with this one: it is to be started again."""

    EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True)
class Recipe:
    """How a job is fitted. Seeds are the courses': NumPy 1, TensorFlow and Python 2.

    ``save_every`` is how many epochs pass between two checkpoints: more than one where epochs are short.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    examples: int | None = None  # at most so many training examples
    save_every: int = 1
    seed: int = 2
    numpy_seed: int = 1


@dataclass(frozen=True)
class Range:
    """What a sweep tries for one field of a recipe, ends included.

    On a ``power_of_two`` scale the ends are powers of two and so is what lies between; ``whole`` values are integers.
    """

    low: float
    high: float
    scale: Literal["linear", "log", "power_of_two"] = "log"
    whole: bool = False


LEARNING_RATE = Range(1e-4, 1e-1)
BATCH_SIZE = Range(8, 256, "power_of_two", whole=True)


@dataclass(frozen=True)
class JobOptions:
    """What the user chose. A job refuses those that it does not take.

    ``params`` are fields of its recipe, by name, as a sweep writes them.
    """

    quick: bool = False
    stand_in: bool = False
    csv: Path | None = None
    column: str | None = None
    data_dir: Path | None = None
    head: str | None = None
    seed: int | None = None
    from_version: int | None = None
    start: Path | None = None  # the directory of that version, which training.core.pipeline fills in
    params: Mapping[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """Inputs and targets, as the Keras model takes them; ``validation`` is held out from fitting and from the test."""

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    data: Data
    validation: tuple[Array, Array] | None = None
    labels: tuple[str, ...] = ()
    inputs: Mapping[str, Distribution] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # what only this job's own functions read


@dataclass(frozen=True)
class Job:
    """One system of the courses, or one of ours.

    ``load(options, recipe)`` → examples; ``build(examples, options)`` → a compiled model that has been checked against
    the exact facts; ``evaluate(model, examples)`` → metrics by name and notes for the card; ``serve(model, examples)``
    → what is exported.
    """

    name: str
    title: str
    course: str | None
    recipe: Recipe
    quick: Recipe
    policy: GatePolicy
    load: Callable[[JobOptions, Recipe], Examples]
    build: Callable[[Examples, JobOptions, Recipe], "keras.Model"]
    evaluate: Callable[["keras.Model", Examples], "Evaluation"]
    serve: Callable[["keras.Model", Examples], "ExportedModel"]
    takes: frozenset[str] = frozenset()  # of Options, beside quick and seed
    starts_from: str | None = None  # the model of which a version is taken up, the live one unless it is named
    printed: Mapping[str, float] = field(default_factory=dict)
    watch: Callable[["keras.Model", Examples], Mapping[str, float]] | None = None  # measured before fitting
    callbacks: Callable[[], Sequence["keras.callbacks.Callback"]] = tuple  # of Keras, for the fit
    whole_batches: bool = False  # the loss compares examples of a batch, so that workers cannot share it
    search: Mapping[str, Range] = field(
        default_factory=lambda: {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE}
    )  # what a sweep tries, by fields of the recipe

    def recipe_for(self, options: JobOptions) -> Recipe:
        """The recipe to follow; raises JobError for an option or a parameter that this job does not take."""
        for name in ("stand_in", "csv", "column", "data_dir", "head", "from_version"):
            if getattr(options, name) and name not in self.takes:
                raise JobError(f"{self.name} takes no --{name.replace('_', '-')}")
        recipe = self.quick if options.quick else self.recipe
        if options.seed is not None:
            recipe = replace(recipe, seed=options.seed, numpy_seed=options.seed)
        return _with_params(recipe, options.params)


def _with_params(recipe: Recipe, params: Mapping[str, float | int]) -> Recipe:
    known = [field.name for field in fields(recipe)]
    for name, value in params.items():
        if name not in known:
            raise JobError(f"there is no parameter {name}; there are: {', '.join(known)}")
        whole = name != "learning_rate" if getattr(recipe, name) is None else isinstance(getattr(recipe, name), int)
        least = 0 if name in ("seed", "numpy_seed") else 1
        if isinstance(value, bool) or not isinstance(value, int | float) or (whole and not isinstance(value, int)):
            raise JobError(f"parameter {name} is {value!r}; {'a whole number' if whole else 'a number'} is expected")
        if not (value >= least if whole else 0 < value < float("inf")):
            raise JobError(f"parameter {name} is {value!r}; {f'at least {least}' if whole else 'above 0'} is expected")
    return replace(recipe, **params)


@dataclass(frozen=True)
class Evaluation:
    """What came out. ``truth`` and ``answer`` feed the plot: class numbers, or values and their forecasts.
    ``confidence`` is the probability of each class that was answered."""

    metrics: Mapping[str, float]
    truth: Array
    answer: Array
    notes: tuple[str, ...] = ()
    confidence: Array | None = None


def require_parameters(model: "keras.Model", total: int, trainable: int | None = None) -> None:
    """Assert the exact facts of a course's printed summary before anything is trained.

    Raises:
        JobError: the model is another one.
    """
    found = model.count_params()
    found_trainable = int(sum(np.prod(w.shape) for w in model.trainable_weights))
    if found != total or (trainable is not None and found_trainable != trainable):
        raise JobError(
            f"the model has {found} parameters ({found_trainable} trainable); the course's has {total}"
            + (f" ({trainable} trainable)" if trainable is not None else "")
        )


def require_outputs(model: "keras.Model", shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Assert the output shapes, without the batch, of layers by their names.

    Raises:
        JobError: the model is another one.
    """
    for name, shape in shapes.items():
        found = tuple(model.get_layer(name).output.shape[1:])
        if found != shape:
            raise JobError(f"layer {name} gives {found}; the course's gives {shape}")
