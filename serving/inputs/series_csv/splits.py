"""Jumps of a price that a share split leaves in unadjusted data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RATIOS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
_TOLERANCE = 0.08  # the market moves on that day, too
_UNUSUAL = 10  # times the usual size of a change


@dataclass(frozen=True)
class ShareSplit:
    """A jump between two rows: values before ``index`` are ``ratio`` times too large (or too small, below 1)."""

    index: int
    ratio: float

    def __str__(self) -> str:
        return f"{self.ratio:g}:1" if self.ratio > 1 else f"1:{1 / self.ratio:g}"


def find_splits(values: NDArray[np.float64]) -> list[ShareSplit]:
    """Return the jumps of positive values that look like splits: sudden, close to a ratio of splits, and lasting."""
    if len(values) < 3:
        return []
    logs = np.log(values)
    changes = np.diff(logs)
    usual = float(np.median(np.abs(changes))) or 1e-4
    found = []
    for at in np.flatnonzero(np.abs(changes) > max(_UNUSUAL * usual, np.log(1.4))):
        index = int(at) + 1
        ratio = _nearest(float(np.exp(np.abs(changes[at]))))
        before, after = logs[max(index - 5, 0) : index], logs[index : index + 5]
        lasting = abs(abs(float(np.median(before) - np.median(after))) - np.log(ratio or 1)) < 2 * _TOLERANCE
        if ratio and lasting:
            found.append(ShareSplit(index, ratio if changes[at] < 0 else 1 / ratio))
    return found


def adjust(values: NDArray[np.float64], splits: list[ShareSplit]) -> NDArray[np.float64]:
    """Divide the values before each split by its ratio."""
    adjusted = values.copy()
    for split in splits:
        adjusted[: split.index] /= split.ratio
    return adjusted


def _nearest(ratio: float) -> float | None:
    best = min(_RATIOS, key=lambda one: abs(np.log(one / ratio)))
    return best if abs(np.log(best / ratio)) < _TOLERANCE else None
