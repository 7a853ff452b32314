"""Comparison of two versions' outputs, as a table."""

import numpy as np
import pytest

from serving.gateway.inference.comparison import Comparison, compare


def classes(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"probabilities": np.array(rows, np.float32)}


@pytest.mark.parametrize(
    ("live", "shadow", "labels", "expected"),
    [
        (classes([0.9, 0.1]), classes([0.9, 0.1]), ((), ()), Comparison(1, 0, 0.0)),
        (classes([1, 0], [1, 0]), classes([1, 0], [0, 1]), ((), ()), Comparison(1, 1, 1.0)),
        # Classes are compared by label, whatever their index and the number of classes.
        (classes([1, 0]), classes([0, 0, 1]), (("a", "b"), ("c", "b", "a")), Comparison(1, 0, None)),
        (classes([1, 0]), classes([1, 0], [1, 0]), ((), ()), Comparison(None, None, None)),
        ({"y": np.array([2.0, 2.0])}, {"y": np.array([2.0, 1.0])}, ((), ()), Comparison(None, None, 0.25)),
        ({"y": np.array([2.0])}, {"z": np.array([2.0])}, ((), ()), Comparison(None, None, None)),
        ({"y": np.array([b"a"], object)}, {"y": np.array([b"b"], object)}, ((), ()), Comparison(None, None, None)),
        # A merged call may return longer forecasts than requested.
        (
            {"mean": np.array([[1.0, 3.0, 9.0]])},
            {"mean": np.array([[1.0, 2.0]])},
            ((), ()),
            Comparison(None, None, 0.25),
        ),
    ],
)
def test_comparisons(
    live: dict[str, np.ndarray],
    shadow: dict[str, np.ndarray],
    labels: tuple[tuple[str, ...], tuple[str, ...]],
    expected: Comparison,
) -> None:
    assert compare(live, shadow, labels) == expected
