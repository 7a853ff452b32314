"""Rolling-origin backtests: each moment from which a forecast could have been made, and the naive forecasts made there.

The origin moves through the held-out part one step at a time and the forecaster is not refitted (Tashman 2000, "Out-of-
sample tests of forecasting accuracy"); the naive forecasts are Hyndman and Athanasopoulos' (Forecasting, 5.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.core.array import Array

_EXACT = 1e-6  # of the series' spread: smaller errors are float32's, and count as none


@dataclass(frozen=True)
class Origins:
    """What could be seen from each of n origins, what came, and what the naive forecasts said of it."""

    history: Array  # [n, window]
    truth: Array  # [n, horizon]
    naive: Mapping[str, Array]  # naive, seasonal, drift: [n, horizon] each


def roll(series: Array, first: int, *, window: int, horizon: int, season: int) -> Origins:
    """Every origin of a series from which ``horizon`` values are known.

    ``naive`` repeats the last value, ``seasonal`` the last season, ``drift`` goes on by the mean change since the
    series began.

    Args:
        series: [t]; nothing behind the end of the part that is measured.
        first: index of the first value that is forecast.
        season: how many steps one season has.

    Raises:
        ValueError: fewer values before ``first`` than a window, a season and a slope need, or fewer than ``horizon``
            from there on.
    """
    before = max(window, season, 2)
    if first < before or first + horizon > len(series):
        raise ValueError(
            f"a backtest needs {before} values before its first origin and {horizon} from there on; there are {first} "
            f"and {len(series) - first}"
        )
    origins = np.arange(first, len(series) - horizon + 1)
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
    """The origins of several series as one."""
    return Origins(
        history=np.concatenate([part.history for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        naive={name: np.concatenate([part.naive[name] for part in parts]) for name in parts[0].naive},
    )


def against_naive(origins: Origins, mean: Array) -> dict[str, float]:
    """Mean absolute errors of the forecasts [n, horizon] and of the naive ones, and the skill against each of these.

    A skill is 1 - ours / theirs: above 0 where ours is the better forecast, at most 1. ``skill`` alone is that against
    ``naive``, the last value.
    """
    nothing = _EXACT * float(origins.truth.std()) or 1.0
    ours = float(np.abs(origins.truth - mean).mean())
    figures = {"mae": ours}
    for name, forecast in origins.naive.items():
        theirs = float(np.abs(origins.truth - forecast).mean())
        figures[f"{name}_mae"] = theirs
        figures["skill" if name == "naive" else f"{name}_skill"] = 1 - max(ours, nothing) / max(theirs, nothing)
    return figures


def interval_score(truth: Array, lower: Array, upper: Array, level: float) -> float:
    """Mean width, and what lies outside at 2 / (1 - level) (Gneiting and Raftery 2007): less is better."""
    outside = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    return float((upper - lower + 2 / (1 - level) * outside).mean())
