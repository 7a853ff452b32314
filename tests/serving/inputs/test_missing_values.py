"""Missing values of a history: linear interpolation and its limits."""

import numpy as np
import pytest

from serving.inputs.missing_values import interpolated
from serving.inputs.rows import RowError

NAN = float("nan")


def test_missing_values_are_interpolated_between_their_neighbours() -> None:
    values, count = interpolated(np.array([1, 2, NAN, NAN, 5, 6, 7, 8, 9, 10]), 10)
    assert (values.tolist(), count) == ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 2)


def test_an_older_value_serves_as_neighbour() -> None:
    history = np.array([NAN, NAN, 4, NAN, 6, 7, 8, 9])
    values, count = interpolated(history, 5)
    assert (values.tolist(), count) == ([5, 6, 7, 8, 9], 1)
    assert interpolated(history, 4)[1] == 0


@pytest.mark.parametrize(
    ("history", "length", "message"),
    [
        ([1, 2, 3, 4, NAN], 5, "the newest value is null"),
        ([NAN, 2, 3, 4, 5], 5, "begins with null"),
        ([1, NAN, 3, NAN, 5], 5, r"2 of the 5 newest values are null; at most 1 are interpolated \(20%\)"),
        ([1, *[NAN] * 4, *[6] * 20], 25, "4 or more values in a row .* at most 3"),
        ([*[1] * 9, *[NAN] * 6, *[6] * 14], 15, "4 or more values in a row"),
        ([NAN] * 5, 5, "the newest value is null"),
        ([1, NAN, 3], 2, "a value is null; 2 values are too few to interpolate one"),
    ],
)
def test_more_are_refused(history: list[float], length: int, message: str) -> None:
    with pytest.raises(RowError, match=message):
        interpolated(np.array(history, np.float64), length)
