"""Hurdles of a backtest: the errors that a useful forecaster beats.

The hurdles are the naive forecasts of :mod:`.backtest`, and AutoETS and AutoTheta (statsforecast: Hyndman et al. 2008;
Assimakopoulos and Nikolopoulos 2000). The two models are fitted on the values before the first origin. At each origin
their states follow the values up to it, and their parameters stay, as the forecaster's own do.
"""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from training.core.array import Array
from training.forecasting.backtest import Origins, places

#: Name of each hurdle in metrics and on the card, and its description for sentences.
HURDLES = {
    "naive": '"the next value equals the last one"',
    "seasonal": '"the value of {season} steps before repeats"',
    "drift": '"the mean change since the start continues"',
    "auto_ets": "AutoETS",
    "auto_theta": "AutoTheta",
}
_LONGEST = 1000  # values before the first origin that AutoETS and AutoTheta read; more cost time and change little

log = logging.getLogger(__name__)


def with_hurdles(near: Origins, far: Origins, series: Array, first: int, season: int) -> tuple[Origins, Origins]:
    """Add AutoETS and AutoTheta to the naive forecasts of two backtests of the same series.

    A model that cannot be fitted is left out.

    Args:
        near: origins of :func:`.backtest.roll` with a horizon of one step.
        far: origins of the same series with the longest horizon.
        series: values [t], up to the end of the part to measure on.
        first: index of the first origin.
        season: steps of a season.
    """
    horizon = far.truth.shape[1]
    own = [places(len(series), first, steps) for steps in (1, horizon)]
    every = np.unique(np.concatenate(own))
    forecasts = _statistical(series, every, horizon, season)
    here, there = (np.searchsorted(every, one) for one in own)
    return (
        replace(near, naive={**near.naive, **{name: rows[here, :1] for name, rows in forecasts.items()}}),
        replace(far, naive={**far.naive, **{name: rows[there] for name, rows in forecasts.items()}}),
    )


def errors(origins: Origins) -> dict[str, float]:
    """Return the mean absolute error of each hurdle by name."""
    return {name: float(np.abs(origins.truth - forecast).mean()) for name, forecast in origins.naive.items()}


def best(figures: Mapping[str, float]) -> str:
    """Return the name of the hurdle with the smallest error."""
    return min(figures, key=lambda name: figures[name])


def _statistical(series: Array, origins: Array, horizon: int, season: int) -> dict[str, Array]:
    """Return forecasts from ascending origins, [len(origins), horizon], by name of the hurdle."""
    try:
        from statsforecast.models import AutoETS, AutoTheta
    except ImportError:
        log.warning("statsforecast is not installed: AutoETS and AutoTheta are left out of the hurdles")
        return {}
    start, found = max(int(origins[0]) - _LONGEST, 0), {}
    for name, kind in {"auto_ets": AutoETS, "auto_theta": AutoTheta}.items():
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                model = kind(season_length=season).fit(series[start : origins[0]])
                rows = [model.forward(series[start:origin], h=horizon)["mean"] for origin in origins]
        except Exception as error:  # statsforecast raises many kinds, for example for constant or short series
            log.warning("%s cannot be fitted to this series: %s", HURDLES[name], error)
            continue
        forecasts = np.stack(rows)
        if np.isfinite(forecasts).all():
            found[name] = forecasts
        else:
            log.warning("%s has no finite forecasts of this series", HURDLES[name])
    return found
