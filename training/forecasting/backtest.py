"""Rolling-origin backtests, with naive forecasts for comparison.

The origin moves through the held-out part one step at a time; the forecaster is not refitted (Tashman 2000,
"Out-of-sample tests of forecasting accuracy"). The naive forecasts are those of Hyndman and Athanasopoulos
(Forecasting: Principles and Practice, 5.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.core.array import Array

#: Share of the series' deviation; smaller errors are mostly rounding of float32, and count as zero.
EXACT = 1e-4
_MOST = 1000  # origins; more cost time, and their errors are nearly the same


@dataclass(frozen=True)
class Origins:
    """Histories, true values and naive forecasts at n origins.

    Attributes:
        history: values before each origin, [n, window].
        truth: values from each origin on, [n, horizon].
        naive: the forecasts ``naive``, ``seasonal`` and ``drift``, [n, horizon] each;
            :func:`training.forecasting.hurdles.with_hurdles` adds more.
    """

    history: Array
    truth: Array
    naive: Mapping[str, Array]


def places(length: int, first: int, horizon: int) -> Array:
    """Return the indices of the origins that :func:`roll` takes from a series of ``length`` values.

    They are multiples of their distance, so that a series that has grown has the same ones.
    """
    apart = -(-(length - horizon + 1 - first) // _MOST)
    return np.arange(-(-first // apart) * apart, length - horizon + 1, apart)


def roll(series: Array, first: int, *, window: int, horizon: int, season: int) -> Origins:
    """Return the origins of a series from which ``horizon`` values are known, at most 1,000, evenly spaced.

    ``naive`` repeats the last value, ``seasonal`` the last season, ``drift`` continues with the mean change since the
    start of the series.

    Args:
        series: values [t], up to the end of the part to measure on.
        first: index of the first origin.
        window: length of the histories.
        horizon: number of steps to forecast.
        season: steps of a season.

    Raises:
        ValueError: too few values before ``first`` for a window, a season and a slope, or fewer than ``horizon`` after
            it.
    """
    before = max(window, season, 2)
    if first < before or first + horizon > len(series):
        raise ValueError(
            f"a backtest needs {before} values before its first origin and {horizon} after it; the series has {first} "
            f"and {len(series) - first}"
        )
    origins = places(len(series), first, horizon)
    ahead = np.arange(horizon)
    last = series[origins - 1]
    slope = (last - series[0]) / (origins - 1)
    return Origins(
        history=np.lib.stride_tricks.sliding_window_view(series, window)[origins - window],
        truth=np.lib.stride_tricks.sliding_window_view(series, horizon)[origins],
        naive={
            "naive": np.repeat(last[:, None], horizon, axis=1),
            "seasonal": series[origins[:, None] - season + ahead % season],
            "drift": last[:, None] + slope[:, None] * (ahead + 1),
        },
    )


def joined(parts: Sequence[Origins]) -> Origins:
    """Concatenate the origins of several series, with the naive forecasts that all of them have."""
    names = [name for name in parts[0].naive if all(name in part.naive for part in parts)]
    return Origins(
        history=np.concatenate([part.history for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        naive={name: np.concatenate([part.naive[name] for part in parts]) for name in names},
    )


def against_naive(origins: Origins, mean: Array) -> dict[str, float]:
    """Return mean absolute errors of ``mean`` [n, horizon] and the naive forecasts.

    The skill against a naive forecast is 1 - own error / its error: at most 1, and above 0 if ``mean`` is better.
    ``skill`` is the one against ``naive``.
    """
    nothing = EXACT * float(origins.truth.std()) or 1.0
    ours = float(np.abs(origins.truth - mean).mean())
    figures = {"mae": ours}
    for name, forecast in origins.naive.items():
        theirs = float(np.abs(origins.truth - forecast).mean())
        figures[f"{name}_mae"] = theirs
        figures["skill" if name == "naive" else f"{name}_skill"] = 1 - max(ours, nothing) / max(theirs, nothing)
    return figures


def interval_score(truth: Array, lower: Array, upper: Array, level: float) -> float:
    """Return the interval score (Gneiting and Raftery 2007); lower is better.

    It is the mean width plus 2 / (1 - level) times the distance of values outside.
    """
    outside = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    return float((upper - lower + 2 / (1 - level) * outside).mean())
