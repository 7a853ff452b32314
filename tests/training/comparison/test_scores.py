"""Scores by row."""

import numpy as np

from training.comparison.scores import SCORES


def test_the_skill_of_a_constant_series_is_finite() -> None:
    """The naive forecast is exact there."""
    constant = np.full(5, 3.0)
    assert SCORES["skill"](constant, constant, {"history": np.full((5, 4), 3.0)}).tolist() == [1] * 5
