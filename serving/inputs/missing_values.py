"""Missing values of a history: interpolated linearly, up to a limit.

The gateway and bulk scoring share this rule.
"""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from serving.inputs.rows import RowError

#: Largest share of the values that a forecast reads.
MOST_SHARE = 0.2
#: Most missing values in a row.
MOST_RUN = 3


def newest_with_neighbours(length: int) -> int:
    """Return how many of the newest values :func:`interpolated` looks at to return ``length`` of them."""
    return length + MOST_RUN


def interpolated(values: NDArray[np.float64], length: int) -> tuple[NDArray[np.float64], int]:
    """Return the newest values of a history without NaN, and how many of them were interpolated.

    Args:
        values: the history, or its newest values; NaN where a value is missing. At least ``length``.
        length: number of values to return. Older ones only serve as neighbours of a missing one.

    Raises:
        RowError: the newest value is missing, or the oldest one of the history, or more than the limit.
    """
    tail = values[-newest_with_neighbours(length) :]
    missing = np.isnan(tail)
    count = int(missing[-length:].sum())
    if not count:
        return tail[-length:], 0
    if missing[-1]:
        raise RowError("the newest value is null; leave it out, and forecast more steps")
    most = int(MOST_SHARE * length)
    if not most:
        raise RowError(f"a value is null; {length} values are too few to interpolate one ({MOST_SHARE:.0%} at most)")
    if count > most:
        raise RowError(
            f"{count} of the {length} newest values are null; at most {most} are interpolated ({MOST_SHARE:.0%})"
        )
    run = max(len(list(group)) for is_missing, group in groupby(missing.tolist()) if is_missing)
    if run > MOST_RUN:
        raise RowError(f"{run} or more values in a row are null; at most {MOST_RUN} in a row are interpolated")
    known = np.flatnonzero(~missing)
    if known[0] > len(tail) - length:
        raise RowError("the history begins with null; begin with a value")
    return np.interp(np.arange(len(tail)), known, tail[known])[-length:], count
