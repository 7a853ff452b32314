"""Fill the steps of a series that have no row, by linear interpolation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.period import Period

_MOST = 0.2  # largest share of steps that are filled
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class RegularRows:
    """Rows one step apart: values [n], times [n], and for each the line of its row or of the row before."""

    values: NDArray[np.float64]
    times: NDArray[np.datetime64]
    lines: NDArray[np.int64]


def fill(
    values: NDArray[np.float64],
    times: NDArray[np.datetime64],
    lines: NDArray[np.int64],
    period: Period,
    notes: list[str],
) -> RegularRows:
    """Return the rows with a value for each step; as they are if the period has no gaps or no fixed step.

    Business days and hours of trading have no fixed step: holidays and nights stay out.

    Args:
        values: the values in order of time.
        times: their times.
        lines: their lines in the file.
        period: the step, with its number of gaps.
        notes: receives the number of filled steps.

    Raises:
        SeriesFileError: more than a fifth of the steps have no row.
    """
    rows = RegularRows(values, times, lines)
    if not period.gaps or period.step == "business day":
        return rows
    places = _places(times, period)
    count = int(places[-1]) + 1
    empty = count - len(values)
    if empty > _MOST * count:
        raise SeriesFileError(
            f"has no row for {empty:,} of {count:,} steps of {period.duration}; at most {_MOST:.0%} are filled by "
            "interpolation. Fill them, keep the rows after the gap, or name the period with --period to take the rows "
            "as consecutive"
        )
    if not empty:
        return rows
    grid = np.arange(count)
    if months := _MONTHS.get(period.step):
        filled = (times[0].astype("datetime64[M]") + months * grid).astype("datetime64[s]")
    else:
        filled = np.interp(grid, places, times.astype(np.int64)).astype(np.int64).astype("datetime64[s]")
    filled[places] = times
    notes.append(f"values interpolated at {empty:,} step{'s' * (empty > 1)} of {period.duration} without row")
    before = np.searchsorted(places, grid, side="right") - 1
    return RegularRows(np.interp(grid, places, values), filled, lines[before])


def _places(times: NDArray[np.datetime64], period: Period) -> NDArray[np.int64]:
    """Return the number of steps from the first time to each."""
    months = _MONTHS.get(period.step)
    passed = np.diff(times.astype("datetime64[M]" if months else "datetime64[s]").astype(np.int64)).astype(np.float64)
    steps = np.maximum(np.round(passed / (months or float(np.median(passed)))), 1)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
