"""The population stability index of values against a training distribution."""

import math

import numpy as np
import pytest

from serving.artifacts.model_card import Distribution
from serving.gateway.observability.population_stability import Reference, from_quantiles, psi
from training.data.sources import distribution

RANDOM = np.random.default_rng(4)


def index(trained: np.ndarray, observed: np.ndarray) -> float:
    reference = from_quantiles(distribution(trained))
    assert reference is not None
    assert math.isclose(sum(reference.shares), 1)
    return psi(reference.shares, (reference.count(observed) // 2).tolist())


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("normal", lambda n: RANDOM.normal(70, 30, n)),
        ("skewed", lambda n: RANDOM.exponential(2, n)),
        ("near one", lambda n: 1 - RANDOM.beta(0.2, 5, n)),
        ("whole numbers", lambda n: RANDOM.integers(1, 9, n)),
        ("mostly zero", lambda n: RANDOM.random(n) < 0.07),
        ("ten values", lambda n: np.float32(np.sin(np.pi / 10 * RANDOM.integers(0, 20, n)))),
    ],
)
def test_the_same_distribution_gives_a_small_index_and_a_shifted_one_a_large(name: str, draw: object) -> None:
    trained, same = (np.asarray(draw(n), np.float64) for n in (20_000, 2_000))  # type: ignore[operator]
    assert index(trained, same) < 0.1
    assert index(trained, same + 1.5 * trained.std() + 0.01) > 0.25


def test_a_larger_spread_at_the_same_mean_raises_the_index() -> None:
    assert index(RANDOM.normal(0, 1, 20_000), RANDOM.normal(0, 2, 2_000)) > 0.25


def test_a_distribution_of_one_value_has_no_bins() -> None:
    assert from_quantiles(distribution(np.full(50, 3.0))) is None
    assert from_quantiles(Distribution(mean=0, std=0, quantiles=())) is None


def test_classes_are_bins() -> None:
    reference = Reference((0.5, 0.3, 0.2))
    counts = reference.count(np.array([0, 0, 1, 2, 2, 2])) // 2
    assert counts.tolist() == [2, 1, 3]
    assert psi(reference.shares, [500, 300, 200]) < 0.001
    assert psi(reference.shares, [0, 0, 1000]) > 1
