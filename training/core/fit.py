"""Fit a model with checkpoints.

A killed run resumes after its last checkpoint and ends with the weights of an uninterrupted run.

Each block of ``save_every`` epochs starts from its own seeds, so its shuffling, dropout and augmentation do not depend
on earlier epochs of the same process. This also applies to a worker group: all workers read the checkpoint, worker 0
writes it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from training.core.checkpoint import Checkpoint
from training.core.examples import Examples
from training.core.recipe import OPTIMIZERS, Recipe
from training.core.worker_group import WorkerGroup

_PROGRESS_SECONDS = 0.1  # between two reports of an epoch's progress

#: Receives (epoch, per cent of the epoch, metrics so far).
ProgressReport = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """Result of a fit.

    Attributes:
        history: one value per epoch, by metric name.
        seconds: fitting time of all processes that took part.
        resumed_at: epoch of the checkpoint that the fit resumed from.
    """

    history: dict[str, list[float]]
    seconds: float
    resumed_at: int | None


def fit(
    model: keras.Model,
    examples: Examples,
    recipe: Recipe,
    checkpoint: Checkpoint,
    progress: ProgressReport,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    worker_group: WorkerGroup | None = None,
) -> Fitted:
    """Fit the model on ``examples.train``, from its checkpoint if it has one.

    Args:
        model: a compiled model.
        examples: the training part, and the validation part to measure after each epoch.
        recipe: epochs, batch size and seeds.
        checkpoint: read at the start and written every ``recipe.save_every`` epochs.
        progress: called during each epoch and at its end.
        callbacks: the job's own Keras callbacks.
        worker_group: workers that share every batch.

    Raises:
        JobError: the checkpoint belongs to a run of another recipe.
        WorkerLost: another worker has stopped.
    """
    state = checkpoint.read()
    first, before, history = 0, 0.0, {}
    if state:
        first, before, history = state["epoch"], state["seconds"], state["history"]
        model.optimizer.build(model.trainable_variables)
        model.load_weights(checkpoint.weights(first))
    if worker_group:
        model.optimizer.build(model.trainable_variables)
        worker_group.join(model)
        own = worker_group.examples(len(examples.train[0]), recipe.batch_size)
        callbacks = [worker_group.averages(own), *callbacks]
    begun = time.monotonic()
    validation = {"validation_data": examples.validation} if examples.validation else {}
    for epoch in range(first, recipe.epochs, recipe.save_every):
        end = min(epoch + recipe.save_every, recipe.epochs)
        seed_everything(recipe, epoch)
        _seed_layers(model, recipe.seed + epoch, worker=worker_group.index if worker_group else 0)
        if worker_group:
            worker_group.synchronise(model, epoch)
        metrics = model.fit(
            **_data(examples, recipe, epoch, worker_group),
            verbose=0,
            initial_epoch=epoch,
            epochs=end,
            callbacks=[*callbacks, _ProgressCallback(progress)],
            **validation,
        ).history
        for name, values in metrics.items():
            history.setdefault(name, []).extend(float(value) for value in values)
        if worker_group is None or worker_group.leads:
            checkpoint.save(model, end, history, before + time.monotonic() - begun)
    return Fitted(history, before + time.monotonic() - begun, resumed_at=first if state else None)


def _data(examples: Examples, recipe: Recipe, epoch: int, worker_group: WorkerGroup | None) -> dict[str, Any]:
    """Return the arguments of ``model.fit`` for the training part."""
    if worker_group:
        part = worker_group.part(examples.train, recipe.batch_size, recipe.seed + epoch)
        return {"x": part, "shuffle": False}
    return {"x": examples.train[0], "y": examples.train[1], "batch_size": recipe.batch_size}


def choose_optimizer(model: keras.Model, recipe: Recipe) -> None:
    """Replace the compiled model's optimiser by the recipe's, if it names one, with the same learning rate."""
    if recipe.optimizer:
        config = {"learning_rate": model.optimizer.get_config()["learning_rate"]}
        if recipe.momentum is not None:
            config["momentum"] = recipe.momentum
        model.optimizer = keras.optimizers.deserialize({"class_name": OPTIMIZERS[recipe.optimizer], "config": config})


def seed_everything(recipe: Recipe, epoch: int = 0) -> None:
    """Set the seeds of Python, NumPy and TensorFlow to the recipe's plus the epoch."""
    keras.utils.set_random_seed(recipe.seed + epoch)
    np.random.seed(recipe.numpy_seed + epoch)


def _seed_layers(model: keras.Model, seed: int, worker: int) -> None:
    """Seed dropout and augmentation, whose generator states Keras does not save.

    A state is a seed and a counter. Each worker's counter starts in a range of its own.
    """
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for index, state in enumerate(states):
        state.assign([1000 * seed + index, worker << 24])


class _ProgressCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the progress of an epoch, at most ten times a second."""

    async_safe = True  # otherwise Keras waits for the metrics of each step before it starts the next one

    def __init__(self, progress: ProgressReport) -> None:
        super().__init__()
        self._epoch = 0
        self._progress = progress
        self._reported = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self._reported > _PROGRESS_SECONDS:
            self._reported = now
            steps = self.params.get("steps") or batch + 1
            self._progress(self._epoch, 100 * (batch + 1) // steps, logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._progress(self._epoch, 100, logs or {})
