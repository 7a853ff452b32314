"""Temperature scaling and the expected calibration error."""

import numpy as np
import pytest

from training.core.array import Array
from training.evaluation.calibration import calibrated_band, calibration_error, fit_temperature, soften


def drawn(rows: int, temperature: float) -> tuple[Array, Array]:
    """Return probabilities [rows, 5] that are too sure by the temperature, and class numbers."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.full(5, 0.4), rows)
    truth = (true.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return soften(true, 1 / temperature), truth


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_is_found_and_calibrates(temperature: float) -> None:
    probabilities, truth = drawn(20_000, temperature)
    found = fit_temperature(probabilities[:5_000], truth[:5_000])
    assert found == pytest.approx(temperature, rel=0.05)
    softened = soften(probabilities[5_000:], found)
    assert (softened.argmax(axis=1) == probabilities[5_000:].argmax(axis=1)).all()
    confidence, right = softened.max(axis=1), softened.argmax(axis=1) == truth[5_000:]
    error, (low, high) = calibration_error(confidence, right), calibrated_band(confidence)
    assert 0 < low < high < 0.02
    assert error < 1.5 * high
    if temperature != 1:
        raw = probabilities[5_000:].max(axis=1)
        assert calibration_error(raw, right) > 3 * high


def test_few_rows_without_an_error_change_little() -> None:
    probabilities = np.tile([0.99, 0.01], (30, 1))
    assert 0.8 < fit_temperature(probabilities, np.zeros(30, int)) < 1


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    assert calibration_error(confidence, np.array([True, True, True, False])) == pytest.approx(0.05)
    assert calibration_error(np.ones(3), np.zeros(3, bool)) == 1
