"""Quantiles of forecasts at any level, from the offsets on the model card."""

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import Quantiles, SeriesRecipe
from serving.gateway.errors import BadOption, listed
from serving.tfs_api.rest_json.errors import json_type

MOST = 99  # quantiles of a request
_LARGEST = float(np.finfo(np.float32).max)


def requested(value: object, recipe: SeriesRecipe) -> tuple[float, ...]:
    """Return the quantiles of a request, none for null.

    Raises:
        BadOption: one is no number between 0 and 1, or the model does not support it.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST:
        given = f"{len(value)} numbers" if isinstance(value, (list, np.ndarray)) else json_type(value)
        raise BadOption(f"quantiles must be a list of at most {MOST} numbers between 0 and 1, not {given}")
    for quantile in value:
        if type(quantile) not in (int, float) or not 0 < quantile < 1:
            shown = repr(quantile)[:40] if isinstance(quantile, (int, float)) else json_type(quantile)
            raise BadOption(f"a quantile must be a number between 0 and 1, such as 0.9, not {shown}")
    bounds = _bounds(recipe)
    others = [quantile for quantile in value if name(quantile) not in bounds]
    if recipe.quantiles is None:
        if others:
            raise BadOption(
                f"this model has the quantiles {listed(list(bounds))}; the request has "
                f"{listed([name(quantile) for quantile in others])}"
            )
        return tuple(value)
    low, high = recipe.quantiles.levels[0], recipe.quantiles.levels[-1]
    for quantile in others:
        if not low <= quantile <= high:
            raise BadOption(
                f"quantile {quantile:g} is out of the range {low:g} to {high:g}, which the errors of this model on "
                f"held-out data support ({recipe.quantiles.rows} forecasts)"
            )
    return tuple(value)


def of_forecasts(
    quantiles: tuple[float, ...], recipe: SeriesRecipe, columns: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Return the quantiles by name, [N, horizon] each. They never cross.

    Args:
        quantiles: those that :func:`requested` accepted.
        recipe: offsets, and the level of the interval.
        columns: ``mean``, ``lower`` and ``upper``, [N, horizon].
    """
    if not quantiles:
        return {}
    bounds = _bounds(recipe)
    ordered = sorted(set(quantiles))
    made = [
        columns[bounds[name(quantile)]] if name(quantile) in bounds else _between(quantile, recipe, columns)
        for quantile in ordered
    ]
    values = np.maximum.accumulate(np.stack(made), axis=0)
    by_quantile = dict(zip(ordered, values, strict=True))
    return {name(quantile): by_quantile[quantile] for quantile in quantiles}


def name(quantile: float) -> str:
    """Return a quantile's name in answers: 0.05."""
    return f"{quantile:g}"


def _bounds(recipe: SeriesRecipe) -> dict[str, str]:
    """Return the outputs ``lower`` and ``upper`` by the name of their quantile."""
    if recipe.level is None:
        return {}
    tail = (1 - recipe.level) / 2
    return {name(tail): "lower", name(1 - tail): "upper"}


def _between(quantile: float, recipe: SeriesRecipe, columns: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Interpolate a quantile between the card's levels and steps, on its side of the bounds."""
    assert recipe.quantiles is not None and recipe.level is not None  # `requested` checked it
    mean, lower, upper = (columns[column].astype(np.float64) for column in ("mean", "lower", "upper"))
    tail, width = (1 - recipe.level) / 2, upper - lower
    if recipe.minimum is not None:  # it may have cut the interval: the part above the mean says how wide it is
        above = _offset(1 - tail, recipe.quantiles, mean.shape[1])
        cut = (lower <= recipe.minimum) & (above > 0)
        width = np.where(cut, (upper - mean) / np.where(above > 0, above, 1), width)
    values = mean + width * _offset(quantile, recipe.quantiles, mean.shape[1])
    if quantile < tail:
        values = np.minimum(values, lower)
    elif quantile > 1 - tail:
        values = np.maximum(values, upper)
    else:
        values = np.clip(values, lower, upper)
    values = np.clip(values, -_LARGEST if recipe.minimum is None else recipe.minimum, _LARGEST)
    return np.asarray(values, np.float32)


def _offset(level: float, quantiles: Quantiles, horizon: int) -> NDArray[np.float64]:
    """Return a quantile's distance from the mean at each step, in widths of the interval, [horizon]."""
    steps, levels = np.arange(1, horizon + 1), np.array(quantiles.levels)
    offsets = np.array([np.interp(steps, quantiles.steps, row) for row in quantiles.offsets])
    if len(levels) == 1:
        only: NDArray[np.float64] = offsets[0]
        return only
    after = int(np.clip(np.searchsorted(levels, level), 1, len(levels) - 1))
    share = (level - levels[after - 1]) / (levels[after] - levels[after - 1])
    between: NDArray[np.float64] = (1 - share) * offsets[after - 1] + share * offsets[after]
    return between
