"""Fit the parameters of classical forecasts on windows of the training part."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from training.core.array import Array
from training.forecasting import linear

_MOST_ROWS = 2_000  # windows that a search of parameters measures on
_ROUNDS = 3
_ALPHA = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)
#: Values to search. ``trend`` is the trend's weight as a share of alpha, ``seasonal`` the season's of 1 - alpha.
_THETA = {"alpha": _ALPHA}
_DAMPED = {"alpha": _ALPHA, "trend": (0.001, 0.01, 0.05, 0.2), "phi": (0.8, 0.9, 0.95, 0.98)}
_SEASONAL_DAMPED = {**_DAMPED, "seasonal": (0.01, 0.05, 0.1, 0.3, 0.6)}

Ranges = Mapping[str, tuple[float, ...]]


def fitted(history: Array, truth: Array, season: int) -> dict[str, Array]:
    """Return the matrices [window, horizon] of all classical forecasts, by name.

    Seasonal ones need a season, and a window of two.

    Args:
        history: windows less their last value, scaled, [n, window].
        truth: the values after them less the same value, scaled alike, [n, horizon].
        season: steps of a season; 1 without one.
    """
    window, horizon = history.shape[1], truth.shape[1]
    found = {
        "naive": linear.matrix(linear.naive, window, horizon),
        "drift": linear.matrix(linear.drift, window, horizon),
    }
    if 1 < season <= window:
        found["seasonal_naive"] = linear.matrix(partial(linear.seasonal_naive, season=season), window, horizon)
    every = np.linspace(0, len(history) - 1, min(len(history), _MOST_ROWS)).astype(int)
    search = partial(_search, history[every], truth[every])
    found["theta"] = search(_theta, _THETA, 1)
    found["damped"] = search(_damped, _DAMPED, 1)
    if 1 < season <= window // 2:
        found["seasonal_theta"] = search(_theta, _THETA, season)
        found["seasonal_damped"] = search(_damped, _SEASONAL_DAMPED, season)
    found["autoregression"] = linear.autoregression(history, truth, ridge=max(len(history) / 4, 1))
    return found


def _theta(season: int, *, alpha: float) -> linear.Method:
    return partial(linear.theta, season=season, alpha=alpha)


def _damped(season: int, *, alpha: float, trend: float, phi: float, seasonal: float = 0.0) -> linear.Method:
    beta, gamma = alpha * trend, (1 - alpha) * seasonal
    return partial(linear.damped_smoothing, season=season, alpha=alpha, beta=beta, gamma=gamma, phi=phi)


def _search(history: Array, truth: Array, method: Callable[..., linear.Method], ranges: Ranges, season: int) -> Array:
    """Return the matrix with the smallest mean absolute error, by a search along one parameter at a time."""
    best = {name: values[len(values) // 2] for name, values in ranges.items()}
    matrices: dict[tuple[float, ...], tuple[float, Array]] = {}

    def measured(chosen: Mapping[str, float]) -> tuple[float, Array]:
        key = tuple(chosen.values())
        if key not in matrices:
            weights = linear.matrix(method(season, **chosen), history.shape[1], truth.shape[1])
            matrices[key] = float(np.abs(truth - history @ weights).mean()), weights
        return matrices[key]

    for _ in range(_ROUNDS):
        for name, values in ranges.items():
            best = min(({**best, name: value} for value in values), key=lambda chosen: measured(chosen)[0])
    return measured(best)[1]
