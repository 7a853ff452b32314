"""Windows of a series, and its split by time."""

from dataclasses import dataclass

import numpy as np

from training.core.array import Array
from training.forecasting.backtest import Origins, roll
from training.forecasting.hurdles import with_hurdles


def windows(series: Array, length: int) -> tuple[Array, Array]:
    """Return all windows of a series [n] and the value after each.

    Shapes are [n - length, length] and [n - length].

    Raises:
        ValueError: the series is not longer than a window.
    """
    if len(series) <= length:
        raise ValueError(f"{len(series)} values are too few for a window of {length} and the value after it")
    view = np.lib.stride_tricks.sliding_window_view(series, length)
    return view[:-1].copy(), series[length:].copy()


@dataclass(frozen=True)
class Split:
    """A series in three parts by time.

    Attributes:
        series: all values.
        window: number of preceding values that the validation and test parts include as history.
        first_validation: index of the first value of the validation part.
        first_test: index of the first value of the test part.
    """

    series: Array
    window: int
    first_validation: int
    first_test: int

    @property
    def train(self) -> Array:
        """The training part."""
        return self.series[: self.first_validation]

    @property
    def validation(self) -> Array:
        """The validation part with its history."""
        return self.series[self.first_validation - self.window : self.first_test]

    @property
    def test(self) -> Array:
        """The test part with its history."""
        return self.series[self.first_test - self.window :]

    def validation_origins(self, horizon: int, season: int) -> Origins:
        """Return the origins of a backtest in the validation part."""
        known = self.series[: self.first_test]
        return roll(known, self.first_validation, window=self.window, horizon=horizon, season=season)

    def held_out_origins(self, horizon: int, season: int) -> Origins:
        """Return the origins of validation and test part, which the tested model was not fitted on."""
        return roll(self.series, self.first_validation, window=self.window, horizon=horizon, season=season)

    def test_origins(self, horizon: int, season: int) -> tuple[Origins, Origins]:
        """Return the origins of two backtests in the test part, one step ahead and ``horizon`` steps, with hurdles."""
        near, far = (
            roll(self.series, self.first_test, window=self.window, horizon=steps, season=season)
            for steps in (1, horizon)
        )
        return with_hurdles(near, far, self.series, self.first_test, season)


def chronological(series: Array, window: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """Split by time into training, validation and test part, in this order."""
    first_test = round(len(series) * (1 - test))
    first_validation = round(len(series) * (1 - test - validation))
    return Split(series, window, first_validation, first_test)
