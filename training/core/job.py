"""A training job: data, model, recipe, publish gate and export.

A job is a value, built at the end of its own file in ``training/jobs/`` from four functions that have the same names
in every job: ``load``, ``build``, ``evaluate`` and ``serve``. :mod:`training.core.pipeline` runs it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serving.inputs.series_csv.reader import ReadOptions
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.recipe import BATCH_SIZE, LEARNING_RATE, MOMENTUM, OPTIMIZER, Choices, Param, Range, Recipe

if TYPE_CHECKING:
    import keras

    from training.export.exported_model import ExportedModel

#: Fields of JobOptions for the jobs that read a series from a CSV file.
CSV_OPTIONS = frozenset({"csv", "splits", *(one.name for one in fields(ReadOptions))})

log = logging.getLogger(__name__)


def kept_apart(runs: Path, model: str) -> Path:
    """Return the folder of card and plots of a quick run, which is not published."""
    return runs / f"{model}-quick"  # no model's name has a hyphen


@dataclass(frozen=True)
class JobOptions(ReadOptions):
    """The user's choices. Its fields, but ``start`` and ``say``, are options of `vitrine train`.

    A job refuses an option that it does not take. An option that only some jobs take is also in
    :data:`training.core.catalogue.TAKES`, which is checked before TensorFlow is imported.

    Attributes:
        quick: use the job's short recipe.
        stand_in: use synthetic data instead of the real data set.
        csv: file of a series; the fields of ReadOptions say how to read it.
        decimal: "point" or "comma", unlike in ReadOptions.
        splits: "adjust" or "keep" jumps that look like share splits.
        data_dir: folder of the user's pictures.
        head: output layer of xo_mobilenet.
        seed: replaces the recipe's seeds.
        from_version: version of the model that the job starts from.
        start: directory of ``from_version``; the pipeline sets it.
        title: replaces the title on the model card.
        params: fields of the recipe by name, as a sweep writes them.
        say: receives the progress while data is read; the pipeline sets it.
    """

    quick: bool = False
    stand_in: bool = False
    csv: Path | None = None
    splits: str | None = None
    data_dir: Path | None = None
    head: str | None = None
    seed: int | None = None
    from_version: int | None = None
    start: Path | None = None
    title: str | None = None
    params: Mapping[str, Param] = field(default_factory=dict)
    say: Callable[[str], None] = log.info

    def own(self) -> list[str]:
        """Return the names of the options that are set and that only some jobs take."""
        names = (one.name for one in fields(self) if one.name not in _COMMON)
        return [name for name in names if getattr(self, name) not in (None, False)]

    @property
    def own_data(self) -> bool:
        """Whether the user's own data replaces the course's."""
        return self.csv is not None or self.data_dir is not None

    def data_arguments(self) -> list[str]:
        """Return the command-line arguments that name the user's own data and say how to read it."""
        found = []
        for name in ("csv", "data_dir", *sorted(CSV_OPTIONS - {"csv"})):
            value = getattr(self, name)
            if name == "day_first" and value is False:
                found.append("--month-first")
            elif value not in (None, False):
                found += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return found


_COMMON = ("quick", "seed", "start", "title", "params", "say")


@dataclass(frozen=True)
class Job:
    """One system of the courses, or one of the project's own.

    Attributes:
        name: command-line name, and the model's name.
        title: one line for the model card.
        course: course document and exercise; None for the project's own jobs.
        recipe: hyper-parameters of the full run.
        quick: hyper-parameters of ``--quick``.
        policy: requirements of the publish gate.
        load: (options, recipe) → examples.
        build: (examples, options, recipe) → a compiled model, checked against the course's exact facts.
        evaluate: (model, examples) → metrics on the test part and notes.
        serve: (model, examples) → the exported signatures.
        takes: options that the job takes, besides ``quick`` and ``seed``.
        starts_from: model whose published version initialises the fit.
        printed: figures that the course prints, by metric name.
        watch: metrics measured before and after the fit.
        callbacks: makes the Keras callbacks of the fit.
        whole_batches: the loss compares examples of a batch, so a worker group cannot split it.
        search: ranges of a sweep, by field of the recipe.
    """

    name: str
    title: str
    course: str | None
    recipe: Recipe
    quick: Recipe
    policy: GatePolicy
    load: Callable[[JobOptions, Recipe], Examples]
    build: Callable[[Examples, JobOptions, Recipe], "keras.Model"]
    evaluate: Callable[["keras.Model", Examples], Evaluation]
    serve: Callable[["keras.Model", Examples], "ExportedModel"]
    takes: frozenset[str] = frozenset()
    starts_from: str | None = None
    printed: Mapping[str, float] = field(default_factory=dict)
    watch: Callable[["keras.Model", Examples], Mapping[str, float]] | None = None
    callbacks: Callable[[], Sequence["keras.callbacks.Callback"]] = tuple
    whole_batches: bool = False
    search: Mapping[str, Range | Choices] = field(
        default_factory=lambda: {
            "learning_rate": LEARNING_RATE,
            "batch_size": BATCH_SIZE,
            "optimizer": OPTIMIZER,
            "momentum": MOMENTUM,
        }
    )

    def recipe_for(self, options: JobOptions) -> Recipe:
        """Return the recipe for these options.

        Raises:
            JobError: the job does not take an option, or a parameter is invalid.
        """
        for name in options.own():
            if name not in self.takes:
                raise JobError(f"{self.name} takes no --{name.replace('_', '-')}")
        recipe = self.quick if options.quick else self.recipe
        if options.seed is not None:
            recipe = replace(recipe, seed=options.seed, numpy_seed=options.seed)
        return recipe.with_params(options.params)


def require_parameters(model: "keras.Model", total: int, trainable: int | None = None) -> None:
    """Assert the parameter counts of a course's printed summary.

    Raises:
        JobError: the model has another number of parameters.
    """
    found = model.count_params()
    found_trainable = int(sum(np.prod(w.shape) for w in model.trainable_weights))
    if found != total or (trainable is not None and found_trainable != trainable):
        raise JobError(
            f"the model has {found} parameters ({found_trainable} trainable); the course's has {total}"
            + (f" ({trainable} trainable)" if trainable is not None else "")
        )


def require_outputs(model: "keras.Model", shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Assert the output shapes of layers by name, without the batch dimension.

    Raises:
        JobError: a layer has another output shape.
    """
    for name, shape in shapes.items():
        found = tuple(model.get_layer(name).output.shape[1:])
        if found != shape:
            raise JobError(f"layer {name} gives {found}; the course's gives {shape}")
