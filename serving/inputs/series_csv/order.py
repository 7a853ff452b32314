"""Bring rows in order of time, oldest first. Files are in order already, or newest first."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.layout import line_numbers
from serving.inputs.series_csv.time_forms import CLOCK
from serving.inputs.series_csv.times import Times


def time_order(
    times: Times, values: NDArray[np.float64], lines: NDArray[np.int64], explain: Callable[[], str], notes: list[str]
) -> NDArray[np.int64]:
    """Return the indices of the rows in order of time, without repeated rows.

    Args:
        times: times of the rows, in the file's order.
        values: their values.
        lines: their lines.
        explain: returns more for the message of a failure.
        notes: receives what was changed.

    Raises:
        SeriesFileError: the rows are in no order, or two rows of a time have different values.
    """
    steps = np.diff(times.values).astype(np.int64)
    order = np.arange(len(values))
    if (steps < 0).sum() > (steps > 0).sum():
        order = order[::-1]
        notes.append("newest first: turned round")
    ordered, numbers = times.values[order], lines[order]
    back = np.flatnonzero(np.diff(ordered).astype(np.int64) < 0)
    if len(back):
        early, late = sorted((back[0], back[0] + 1), key=lambda i: int(numbers[i]))
        raise SeriesFileError(
            f"{times.written(order[late])} comes after {times.written(order[early])}; rows must be in order of "
            f"time{explain()}",
            int(numbers[late]),
        )
    same = np.flatnonzero(np.diff(ordered).astype(np.int64) == 0)
    differ = [i for i in same if values[order[i]] != values[order[i + 1]]]
    if differ:
        clock = ", and clocks that change need an offset, such as +02:00" if times.precision == CLOCK else ""
        first, second = sorted((int(numbers[differ[0]]), int(numbers[differ[0] + 1])))
        raise SeriesFileError(
            f"{times.written(order[differ[0]])} is a duplicate of line {first} with another value; one row for each "
            f"time is expected{clock}{explain()}",
            second,
        )
    if len(same):
        notes.append(f"repeated rows left out: {len(same)} ({line_numbers([int(numbers[i + 1]) for i in same])})")
    return np.delete(order, same + 1)
