"""Paired tests, and their error rates on simulated candidates."""

import numpy as np
import pytest

from training.comparison.paired import compare
from training.comparison.simulation import SETTINGS, Setting, rates


def gains(rows: int, losses: int, wins: int) -> np.ndarray:
    return np.concatenate([-np.ones(losses), np.ones(wins), np.zeros(rows - losses - wins)])


def test_scores_of_0_and_1_are_compared_by_mcnemar_s_test() -> None:
    equal = compare(gains(4_000, 100, 100), 0.01)
    assert equal.test == "McNemar" and equal.accepted and equal.gain == 0 and equal.margin == 0.01
    worse = compare(gains(4_000, 160, 100), 0.01)
    assert not worse.accepted and worse.gain == -0.015
    assert worse.p_value == pytest.approx(0.000121, rel=0.05)  # R: binom.test(160, 260, alternative = "greater")
    assert compare(gains(4_000, 130, 100), 0.01).accepted, "within the margin"
    assert compare(gains(4_000, 100, 160), 0.01).accepted, "better"


def test_few_rows_have_a_larger_margin() -> None:
    few = compare(gains(100, 6, 4), 0.01)
    assert 0.05 < few.margin < 0.15 and few.missed <= 0.02 and few.accepted
    assert compare(gains(100, 0, 0), 0.01).margin > 0.01, "no difference on 100 rows proves little"


def test_the_best_of_many_versions_is_compared_more_cautiously() -> None:
    loss = gains(4_000, 130, 85)
    assert not compare(loss, 0.005).accepted
    assert compare(loss, 0.005, published=50).accepted


def test_errors_are_compared_by_a_bootstrap() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 1_000)
    assert compare(noise, 0.01).test == "bootstrap"
    assert not compare(noise - 0.03, 0.01).accepted
    assert compare(np.zeros(50) - 0.5, 0.01).accepted is False, "each row is worse by the same"
    steady = np.repeat(np.random.default_rng(0).normal(0, 0.1, 40), 25)
    assert compare(steady, 0.01, horizon=1).margin > 2 * compare(steady, 0.01).margin
    overlapping = np.convolve(noise, np.full(14, 1 / 14), "valid")
    assert compare(overlapping, 0.001, horizon=14).margin > compare(overlapping, 0.001, horizon=1).margin
    assert compare(overlapping[:20], 0.01, horizon=14).accepted, "few rows"


@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[3], *SETTINGS[5:7]], ids=lambda setting: setting.name)
def test_equal_candidates_pass_and_those_worse_by_twice_the_margin_do_not(setting: Setting) -> None:
    """200 candidates each, seeded; ``python -m training.comparison.simulation`` has 1,000 for all settings."""
    found = rates(setting, 200)
    assert found.refused <= 0.05
    assert found.passed <= 0.05
