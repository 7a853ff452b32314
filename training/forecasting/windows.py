"""Windows, splits by time, intervals and what the card says: what every series job needs, over plain arrays.

A series job scales by its training part only, splits by time, and is reported beside the naive forecasts of
:mod:`training.forecasting.backtest`: where it does not beat one of them, its card says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.forecasting.backtest import Origins, roll


def windows(series: Array, length: int) -> tuple[Array, Array]:
    """All windows of a series and the value behind each: [n] → [n - length, length] and [n - length]."""
    if len(series) <= length:
        raise ValueError(f"{len(series)} values hold no window of {length} and a value behind it")
    view = np.lib.stride_tricks.sliding_window_view(series, length)
    return view[:-1].copy(), series[length:].copy()


@dataclass(frozen=True)
class Split:
    """A series in three parts by time; the later two begin with the ``window`` values before them."""

    series: Array
    window: int
    first_validation: int
    first_test: int

    @property
    def train(self) -> Array:
        return self.series[: self.first_validation]

    @property
    def validation(self) -> Array:
        return self.series[self.first_validation - self.window : self.first_test]

    @property
    def test(self) -> Array:
        return self.series[self.first_test - self.window :]

    def validation_origins(self, horizon: int, season: int) -> Origins:
        """Origins in the validation part, as :func:`training.forecasting.backtest.roll` makes them."""
        known = self.series[: self.first_test]
        return roll(known, self.first_validation, window=self.window, horizon=horizon, season=season)

    def test_origins(self, horizon: int, season: int) -> Origins:
        """Origins in the test part."""
        return roll(self.series, self.first_test, window=self.window, horizon=horizon, season=season)


def chronological(series: Array, window: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """Split by time: the test part is the end, the validation part lies before it."""
    first_test = round(len(series) * (1 - test))
    first_validation = round(len(series) * (1 - test - validation))
    return Split(series, window, first_validation, first_test)


def conformal_spread(errors: Array, level: float) -> Array:
    """What to add to the mean, by step, for an interval that covers ``level``: float32 [2, horizon].

    Split-conformal with signed residuals (Romano et al. 2019's finite-sample rank): at each step the interval between
    the two quantiles of truth - forecast, taken at ranks widened by (n + 1) / n.

    Args:
        errors: truth - forecast on data that was not fitted on, [n, horizon].
        level: the share that should lie inside.
    """
    rank = min(1.0, (1 + level) / 2 * (1 + 1 / len(errors)))
    bounds = np.quantile(errors, [1 - rank, rank], axis=0)
    bounds[0] = np.minimum.accumulate(np.minimum(bounds[0], 0))  # never narrower further ahead
    bounds[1] = np.maximum.accumulate(np.maximum(bounds[1], 0))
    return bounds.astype(np.float32)


def notes(figures: Mapping[str, float], recipe: SeriesRecipe, season: int) -> tuple[str, ...]:
    """What the card must say of a forecaster that does not beat a naive forecast, or is surer than it may be.

    Args:
        figures: those of :meth:`training.forecasting.forecaster.Forecaster.measure`.
        season: steps of the seasonal naive forecast.
    """
    said = []
    if recipe.level and figures["coverage"] < recipe.level - 0.1:
        said.append(
            f"The interval is meant to cover {recipe.level:.0%} and covers {figures['coverage']:.0%} of the test part: "
            "the series has changed its ways since the validation part."
        )
    unit = "" if recipe.unit == "1" else f" {recipe.unit}"
    naive = {
        "naive": "the next value equals the last one",
        "seasonal": f"the value of {season} steps before comes again",
        "drift": "it goes on as it has gone on the whole",
    }
    for prefix, span in {"": f"one {recipe.step} ahead", "horizon_": f"over {recipe.max_horizon} steps ahead"}.items():
        better = [
            f'"{sentence}" ({figures[f"{prefix}{name}_mae"]:.4g}{unit})'
            for name, sentence in naive.items()
            if figures[prefix + ("skill" if name == "naive" else f"{name}_skill")] <= 0
        ]
        if better:
            ours = figures["horizon_mae" if prefix else "test_mae"]
            said.append(f"No better than {' or '.join(better)}: {span} its mean absolute error is {ours:.4g}{unit}.")
    return tuple(said)
