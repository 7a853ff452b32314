"""Comparison of two versions' outputs for the same input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = frozenset({"mean", "lower", "upper"})  # a merged call may return longer forecasts than requested


@dataclass(frozen=True)
class Comparison:
    """Differences between two versions.

    Attributes:
        agree: rows with the same most likely class; None without classes.
        differ: rows with another most likely class; None without classes.
        difference: mean absolute difference of all numbers, relative to the mean absolute value of the live version's;
            None if nothing can be compared.
    """

    agree: int | None
    differ: int | None
    difference: float | None


def compare(
    live: Mapping[str, NDArray[Any]], shadow: Mapping[str, NDArray[Any]], labels: tuple[Sequence[str], Sequence[str]]
) -> Comparison:
    """Compare the outputs of two versions.

    Classes are compared by label, or by index without labels. Numbers are compared if the shapes are equal, forecasts
    for the steps that both have.
    """
    agree = differ = None
    one, other = live.get("probabilities"), shadow.get("probabilities")
    if one is not None and other is not None and one.ndim == other.ndim == 2 and len(one) == len(other):
        same = sum(
            _name(labels[0], int(left)) == _name(labels[1], int(right))
            for left, right in zip(one.argmax(1), other.argmax(1), strict=True)
        )
        agree, differ = same, len(one) - same
    return Comparison(agree, differ, _difference(live, shadow))


def _name(labels: Sequence[str], index: int) -> str | int:
    return labels[index] if index < len(labels) else index


def _difference(live: Mapping[str, NDArray[Any]], shadow: Mapping[str, NDArray[Any]]) -> float | None:
    apart = size = 0.0
    for name, one in live.items():
        other = shadow.get(name)
        if other is None or one.dtype.kind not in "fiu" or other.dtype.kind not in "fiu" or one.ndim != other.ndim:
            continue
        if one.shape != other.shape and name not in _STEPS:
            continue
        common = tuple(slice(min(sizes)) for sizes in zip(one.shape, other.shape, strict=True))
        left, right = one[common].astype(np.float64), other[common].astype(np.float64)
        apart += float(np.abs(left - right).sum())
        size += float(np.abs(left).sum())
    return apart / size if size else None
