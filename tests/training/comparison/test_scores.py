"""Scores by row."""

import numpy as np

from training.comparison.scores import SCORES


def test_the_skill_of_a_constant_series_is_finite() -> None:
    """The naive forecast is exact there."""
    constant = np.full((5, 2), 3.0)
    assert SCORES["horizon_skill"](constant, constant, {"history": np.full((5, 4), 3.0)}).tolist() == [1] * 5


def test_the_skill_counts_all_steps() -> None:
    """Exact one step ahead and as wrong as the naive forecast two steps ahead."""
    truth, history = np.array([[1.0, 2.0]]), np.zeros((1, 4))
    assert SCORES["horizon_skill"](truth, np.array([[1.0, 0.0]]), {"history": history}) == [1 - 1.0 / 1.5]
    assert SCORES["horizon_mae"](truth, np.array([[1.0, 0.0]]), {"history": history}) == [1.0]
