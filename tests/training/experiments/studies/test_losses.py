"""The course's printed figures, to their last digit."""

import numpy as np
import pytest

from training.core.job import JobOptions
from training.experiments.studies import losses
from training.experiments.study import Findings

Y_HAT = (0.133, 0.178, 0.325, 0.433, 0.49, 0.547, 0.576, 0.682, 0.792, 0.843)
PER_POINT = {
    "squared": (0.018, 0.032, 0.106, 0.321, 0.24, 0.205, 0.331, 0.101, 0.043, 0.025),
    "cross-entropy": (0.142, 0.195, 0.394, 0.837, 0.674, 0.603, 0.857, 0.382, 0.233, 0.17),
    "0-1": (0, 0, 0, 1, 0, 0, 1, 0, 0, 0),
    "hinge": (0.265, 0.355, 0.651, 1.134, 0.98, 0.905, 1.151, 0.635, 0.415, 0.313),
}


@pytest.fixture(scope="module")
def findings() -> Findings:
    return losses.run(JobOptions(), print)


def test_the_regression_gives_the_printed_probabilities(findings: Findings) -> None:
    assert [round(row[2], 3) for row in findings.rows[:-1]] == list(Y_HAT)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", range(3, 7))
def test_every_point_has_the_printed_loss(findings: Findings, column: int) -> None:
    ours = [row[column] for row in findings.rows[:-1]]
    np.testing.assert_allclose(ours, PER_POINT[losses.LOSSES[column - 3]], atol=6e-4)


def test_the_means_are_the_printed_ones(findings: Findings) -> None:
    for name, printed in losses.PRINTED.items():
        assert findings.figures[name] == pytest.approx(printed, abs=5.1e-5)
