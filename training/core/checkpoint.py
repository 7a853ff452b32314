"""Checkpoints of unfinished runs: identity, progress and weights."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from serving.artifacts.atomic_write import write_atomically
from training.core.errors import JobError


class Checkpoint:
    """The folder of one unfinished run.

    ``identity`` lists the settings that a resumed run must share. The pipeline removes the folder once the version is
    published.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        self._identity = json.loads(json.dumps(identity, default=str))
        self._state = directory / "run.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other processes.

        Raises:
            JobError: another process has locked it.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with self.directory.with_name(f".{self.directory.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JobError(
                    f"another process is training in {self.directory}: wait for it, or choose another --runs folder"
                ) from None
            yield

    def read(self) -> dict[str, Any] | None:
        """Return the saved state, or None without a checkpoint.

        Raises:
            JobError: the state is unreadable, or its identity differs.
        """
        try:
            state: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            raise JobError(f"{self._state} cannot be read; start over with --fresh") from None
        differing = [
            f"{name} was {state['identity'].get(name)!r}, now {value!r}"
            for name, value in self._identity.items()
            if state["identity"].get(name) != value
        ]
        if differing:
            raise JobError(
                f"{self.directory} holds an unfinished run of another kind ({'; '.join(differing)}): "
                "finish it with its own recipe, or start over with --fresh"
            )
        return state

    def weights(self, epoch: int) -> Path:
        """Return the path of the weights after ``epoch`` epochs."""
        return self.directory / f"{epoch}.weights.h5"

    def save(self, model: keras.Model, epoch: int, history: Mapping[str, list[float]], seconds: float) -> None:
        """Save weights and optimiser, then the state file; remove older weights."""
        self.directory.mkdir(parents=True, exist_ok=True)
        model.save_weights(self.weights(epoch))
        state = {"identity": self._identity, "epoch": epoch, "history": history, "seconds": seconds}
        write_atomically(self._state, json.dumps(state))
        for old in self.directory.glob("*.weights.h5"):
            if old != self.weights(epoch):
                old.unlink()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.directory, ignore_errors=True)
