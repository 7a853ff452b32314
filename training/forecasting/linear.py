"""Classical forecasts as matrices: naive, seasonal naive, drift, Theta, damped exponential smoothing, autoregression.

With fixed parameters and an additive season each of them is linear in the window: mean [n, horizon] = history
[n, window] · M. :func:`matrix` makes M by running the method on the unit vectors, so that a graph holds one product and
forecasts any history. All methods move with the level: a constant added to the history is added to the forecast.
"""

from collections.abc import Callable

import numpy as np

from training.core.array import Array

#: Series as columns [window, n] and a horizon → forecasts as columns [horizon, n].
Method = Callable[[Array, int], Array]


def matrix(method: Method, window: int, horizon: int) -> Array:
    """Return the matrix of a linear method, [window, horizon]."""
    return method(np.eye(window), horizon).T


def naive(columns: Array, horizon: int) -> Array:
    """Repeat the last value."""
    return np.repeat(columns, [*[0] * (len(columns) - 1), horizon], axis=0)


def seasonal_naive(columns: Array, horizon: int, *, season: int) -> Array:
    """Repeat the last season."""
    return columns[len(columns) - season + np.arange(horizon) % season]


def drift(columns: Array, horizon: int) -> Array:
    """Continue with the window's mean change."""
    slope = (columns[-1] - columns[0]) / (len(columns) - 1)
    mean: Array = columns[-1] + np.arange(1, horizon + 1)[:, None] * slope
    return mean


def theta(columns: Array, horizon: int, *, season: int, alpha: float) -> Array:
    """Theta's forecast: exponential smoothing with half the linear trend as its drift.

    Assimakopoulos and Nikolopoulos 2000, in the form of Hyndman and Billah 2003. The season is taken out before and
    added afterwards.
    """
    window = len(columns)
    profile = seasonal_profile(columns, season)
    plain = columns - profile[np.arange(window) % season]
    time = np.arange(window) - (window - 1) / 2
    slope = (time @ plain) / (time @ time)
    level = plain[0]
    for value in plain[1:]:
        level = alpha * value + (1 - alpha) * level
    ahead = np.arange(horizon)[:, None] + (1 - (1 - alpha) ** window) / alpha
    mean: Array = level + slope / 2 * ahead + profile[(window + np.arange(horizon)) % season]
    return mean


def damped_smoothing(
    columns: Array, horizon: int, *, season: int, alpha: float, beta: float, gamma: float, phi: float
) -> Array:
    """Exponential smoothing with additive error, damped trend and additive season: ETS(A,Ad,A).

    Hyndman et al. 2008. The first level, trend and season come from the start of the window.

    Args:
        columns: series, [window, n].
        horizon: steps to forecast.
        season: steps of a season; 1 without one.
        alpha: weight of an error in the level.
        beta: weight of an error in the trend.
        gamma: weight of an error in the season.
        phi: share of the trend that the next step keeps.
    """
    window = len(columns)
    profile = seasonal_profile(columns, season)
    plain = columns - profile[np.arange(window) % season]
    first = min(window, max(2 * season, 10))
    time = np.arange(first) - (first - 1) / 2
    trend = (time @ plain[:first]) / (time @ time)
    level = plain[:first].mean(axis=0) - trend * (first + 1) / 2
    for index, value in enumerate(columns):
        error = value - (level + phi * trend + profile[index % season])
        level = level + phi * trend + alpha * error
        trend = phi * trend + beta * error
        if season > 1:
            profile[index % season] += gamma * error
    damping = np.cumsum(phi ** np.arange(1, horizon + 1))[:, None]
    mean: Array = level + damping * trend + profile[(window + np.arange(horizon)) % season]
    return mean


def seasonal_profile(columns: Array, season: int) -> Array:
    """Return the mean deviation from the moving average by place in the season, [season, n]; zeros without a season."""
    if season == 1:
        return np.zeros((1, columns.shape[1]))
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    half, window = len(weights) // 2, len(columns)
    around = np.lib.stride_tricks.sliding_window_view(columns, len(weights), axis=0)
    deviation = columns[half : window - half] - around @ (weights / season)
    place = np.arange(half, window - half) % season
    profile = np.stack([deviation[place == one].mean(axis=0) for one in range(season)])
    centred: Array = profile - profile.mean(axis=0)
    return centred


def autoregression(history: Array, truth: Array, *, ridge: float) -> Array:
    """Return the matrix that a ridge regression fits on scaled windows.

    Each step ahead is a weighted sum of the window's values, whose weights sum to 1.

    Args:
        history: windows less their last value, scaled, [n, window].
        truth: the values after them less the same value, scaled alike, [n, horizon].
        ridge: penalty on squared weights.
    """
    window = history.shape[1]
    weights = np.linalg.solve(history.T @ history + ridge * np.eye(window), history.T @ truth)
    weights[-1] += 1 - weights.sum(axis=0)
    moved: Array = weights
    return moved
