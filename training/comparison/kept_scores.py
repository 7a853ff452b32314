"""Scores that a forecaster keeps when it is fitted again on all data, by the origin of each forecast.

A series that has grown has the origins of the test before, unless they have left its test part, and new ones after the
last value that the version has seen. Its newest values identify an origin, whatever the length of the window and the
place in the file.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.core.array import Array

FILE = "assets.extra/gate_origins.npz"
_NEWEST = 32  # values that identify an origin


def identities(history: Array) -> Array:
    """Return a number for each history [n, window] that follows from its newest values, uint64 [n]."""
    rows = np.ascontiguousarray(history[:, -_NEWEST:], np.float32)
    return np.array([int.from_bytes(hashlib.sha256(row.data).digest()[:8]) for row in rows], np.uint64)


@dataclass(frozen=True)
class KeptScores:
    """Errors of the version that was tested, before the fit on all data.

    Attributes:
        origins: :func:`identities` of the test's histories, in order of time, [n].
        errors: mean absolute error over the horizon from each origin, [n].
        horizon: steps of each forecast.
        seen: identity of the newest values of all data.
    """

    origins: Array
    errors: Array
    horizon: int
    seen: int

    @classmethod
    def of(cls, history: Array, truth: Array, errors: Array) -> "KeptScores":
        """Return the scores of a test: histories [n, window], true values [n, horizon] and errors [n]."""
        end = np.concatenate([history[-1], truth[-1]])
        return cls(identities(history), errors, truth.shape[1], int(identities(end[None])[0]))

    def write(self, directory: Path) -> None:
        """Write them into a version directory."""
        seen = np.array(self.seen, np.uint64)
        np.savez(directory / FILE, origins=self.origins, errors=self.errors, horizon=self.horizon, seen=seen)

    @classmethod
    def read(cls, directory: Path) -> "KeptScores | None":
        """Read them from a version directory; None if it has none."""
        if not (directory / FILE).is_file():
            return None
        with np.load(directory / FILE) as found:
            return cls(found["origins"], found["errors"], int(found["horizon"]), int(found["seen"]))

    def rows(self, history: Array) -> tuple[Array, Array, Array]:
        """Find the origins among other histories [m, window], in order of time.

        Returns:
            The numbers of the rows that the test had, their errors, and the numbers of the rows whose true values the
            version has never seen.
        """
        origins = identities(history)
        places = {origin: place for place, origin in enumerate(self.origins.tolist())}
        found = np.array([places.get(origin, -1) for origin in origins.tolist()])
        known = np.flatnonzero(found >= 0)
        ends = np.flatnonzero(origins == self.seen)
        new = np.setdiff1d(np.arange(ends[-1] if len(ends) else len(origins), len(origins)), known)
        return known, self.errors[found[known]], new
