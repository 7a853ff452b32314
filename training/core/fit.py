"""Fit a model epoch by epoch, so that a run that is killed goes on from its last finished epoch.

Every stretch of ``save_every`` epochs begins from seeds of its own, so its shuffling, dropout and augmentation do not
depend on what came before it in the same process; weights and optimiser are saved behind it, and the run's own file is
replaced last. A resumed run therefore ends where an uninterrupted one does. That holds for the workers of a
:mod:`training.core.worker_group` team too, who all read the run's folder; worker 0 writes it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.core.job import Examples, JobError, Recipe
from training.core.worker_group import WorkerGroup


@dataclass(frozen=True)
class Fitted:
    """``history`` holds one value for each epoch, by name; ``seconds`` counts every process that took part."""

    history: dict[str, list[float]]
    seconds: float
    resumed_at: int | None


class Run:
    """The folder of one run: what is being trained, how far it is, and the weights. Removed once it is published."""

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        self._identity = json.loads(json.dumps(identity, default=str))
        self._state = directory / "run.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes off the folder meanwhile.

        Raises:
            JobError: one is at it.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with self.directory.with_name(f".{self.directory.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JobError(
                    f"another process is training in {self.directory}: wait for it, or take another folder with --runs"
                ) from None
            yield

    def read(self) -> dict[str, Any] | None:
        """The saved state, None where nothing was begun.

        Raises:
            JobError: the folder holds a run of another recipe or other data.
        """
        try:
            state: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            raise JobError(f"{self._state} cannot be read; --fresh begins anew") from None
        differing = [
            f"{name} was {state['identity'].get(name)!r}, now {value!r}"
            for name, value in self._identity.items()
            if state["identity"].get(name) != value
        ]
        if differing:
            raise JobError(
                f"an unfinished run of another kind lies in {self.directory} ({'; '.join(differing)}): "
                "finish it with its own recipe, or begin anew with --fresh"
            )
        return state

    def weights(self, epoch: int) -> Path:
        return self.directory / f"{epoch}.weights.h5"

    def save(self, model: keras.Model, epoch: int, history: Mapping[str, list[float]], seconds: float) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        model.save_weights(self.weights(epoch))
        draft = self._state.with_suffix(".new")
        state = {"identity": self._identity, "epoch": epoch, "history": history, "seconds": seconds}
        with draft.open("w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._state)
        for old in self.directory.glob("*.weights.h5"):
            if old != self.weights(epoch):
                old.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


Progress = Callable[[int, int, Mapping[str, float]], None]


def fit(
    model: keras.Model,
    examples: Examples,
    recipe: Recipe,
    run: Run,
    progress: Progress,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    team: WorkerGroup | None = None,
) -> Fitted:
    """Fit on ``examples.train`` by the recipe; ``progress`` is told (epoch, percent of it, figures so far).

    Raises:
        JobError: an unfinished run of another recipe lies in the run's folder.
        WorkerLost: of ``team``, with which the fit is shared.
    """
    state = run.read()
    first, before, history = 0, 0.0, {}
    if state:
        first, before, history = state["epoch"], state["seconds"], state["history"]
        model.optimizer.build(model.trainable_variables)
        model.load_weights(run.weights(first))
    if team:
        model.optimizer.build(model.trainable_variables)
        team.join(model)
        callbacks = [team.averages(team.examples(len(examples.train[0]), recipe.batch_size)), *callbacks]
    begun = time.monotonic()
    validation = {"validation_data": examples.validation} if examples.validation else {}
    for epoch in range(first, recipe.epochs, recipe.save_every):
        end = min(epoch + recipe.save_every, recipe.epochs)
        seed_everything(recipe, epoch)
        _seed_layers(model, recipe.seed + epoch, worker=team.index if team else 0)
        if team:
            team.agree(model, epoch)
            data = {"x": team.part(examples.train, recipe.batch_size, recipe.seed + epoch), "shuffle": False}
        else:
            data = {"x": examples.train[0], "y": examples.train[1], "batch_size": recipe.batch_size}
        figures = model.fit(
            **data,
            verbose=0,
            initial_epoch=epoch,
            epochs=end,
            callbacks=[*callbacks, _Watcher(progress)],
            **validation,
        ).history
        for name, values in figures.items():
            history.setdefault(name, []).extend(float(value) for value in values)
        if team is None or team.leads:
            run.save(model, end, history, before + time.monotonic() - begun)
    return Fitted(history, before + time.monotonic() - begun, resumed_at=first if state else None)


def seed_everything(recipe: Recipe, epoch: int = 0) -> None:
    """The courses' seeds, moved on by one each epoch."""
    keras.utils.set_random_seed(recipe.seed + epoch)
    np.random.seed(recipe.numpy_seed + epoch)


def _seed_layers(model: keras.Model, seed: int, worker: int) -> None:
    """Seed dropout and augmentation anew: their generators' states are not among the weights that Keras saves.

    A state is a seed and a counter; no worker's counter comes to where another's began.
    """
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for index, state in enumerate(states):
        state.assign([1000 * seed + index, worker << 24])


def identity(job: str, recipe: Recipe, data_sha256: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two runs the same run: job, recipe, options and training data."""
    return {"job": job, **asdict(recipe), **options, "data": data_sha256}


class _Watcher(keras.callbacks.Callback):
    """Tells the progress bar how far an epoch is, at most ten times a second."""

    async_safe = True  # else Keras waits for the figures of each step before the next

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._epoch = 0
        self._progress = progress
        self._told = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self._told > 0.1:
            self._told = now
            steps = self.params.get("steps") or batch + 1
            self._progress(self._epoch, 100 * (batch + 1) // steps, logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._progress(self._epoch, 100, logs or {})
