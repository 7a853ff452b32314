"""Error rates of the gate's paired tests on simulated candidates.

    python -m training.comparison.simulation          3 minutes on two CPU cores

Each candidate is equal to the published version, or worse by twice the margin that the gate chooses for it. The table
has the share of equal candidates that are refused and the share of worse ones that pass; both should be at most 5 %.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from training.comparison.paired import Paired, compare
from training.core.array import Array


@dataclass(frozen=True)
class Setting:
    """A part of the data and the candidates that are measured on it.

    Attributes:
        name: one phrase.
        rows: rows of the gate part.
        margin: the job's margin.
        gains: (loss, rows, generator) → gains by row of a candidate that is worse by ``loss`` on average.
        published: number of published versions.
        horizon: steps of the forecasts from rows in order of time; 0 for rows that do not depend on each other.
    """

    name: str
    rows: int
    margin: float
    gains: Callable[[float, int, np.random.Generator], Array]
    published: int = 1
    horizon: int = 0

    def test(self, loss: float, rng: np.random.Generator) -> Paired:
        """Simulate a candidate and compare it."""
        gains = self.gains(loss, self.rows, rng)
        return compare(gains, self.margin, published=self.published, horizon=self.horizon)


@dataclass(frozen=True)
class ErrorRates:
    """Share of equal candidates that are refused, and of those worse by twice the margin that pass."""

    margin: float
    refused: float
    passed: float
    candidates: int


def classes(differing: float) -> Callable[[float, int, np.random.Generator], Array]:
    """Simulate classifiers of which one alone is right on a share ``differing`` of the rows."""

    def gains(loss: float, rows: int, rng: np.random.Generator) -> Array:
        share = max(differing, loss)
        return rng.choice([-1.0, 0.0, 1.0], rows, p=[(share + loss) / 2, 1 - share, (share - loss) / 2])

    return gains


def errors(persistence: float = 0.0, horizon: int = 1) -> Callable[[float, int, np.random.Generator], Array]:
    """Simulate differences of absolute errors with heavy tails.

    Values correlate with the one before by ``persistence``; a row is the mean over its ``horizon``.
    """

    def gains(loss: float, rows: int, rng: np.random.Generator) -> Array:
        shocks = rng.standard_t(5, rows + horizon - 1) * 0.1
        values = shocks.copy()
        for i in range(1, len(values) if persistence else 0):
            values[i] = persistence * values[i - 1] + shocks[i]
        return np.convolve(values, np.full(horizon, 1 / horizon), "valid") - loss

    return gains


#: Parts as the jobs have them.
SETTINGS = (
    Setting("Fashion-MNIST, CIFAR and MNIST", 4_000, 0.005, classes(0.08)),
    Setting("the same, ten published versions", 4_000, 0.005, classes(0.08), published=10),
    Setting("two nearly equal classifiers", 4_000, 0.01, classes(0.01)),
    Setting("clothing photographs", 318, 0.02, classes(0.15)),
    Setting("drawings of X and O", 800, 0.01, classes(0.01)),
    Setting("house values", 102, 0.02, errors()),
    Setting("one-step forecasts", 157, 0.02, errors(0.3), horizon=1),
    Setting("14-step forecasts", 157, 0.02, errors(0.3, horizon=14), horizon=14),
    Setting("14-step forecasts, long series", 1_000, 0.02, errors(0.3, horizon=14), horizon=14),
)


def rates(setting: Setting, candidates: int, seed: int = 0) -> ErrorRates:
    """Simulate ``candidates`` equal and as many worse candidates.

    "Twice the margin" is twice the median of the margins that the gate chooses for equal candidates.
    """
    rng = np.random.default_rng(seed)
    equal = [setting.test(0.0, rng) for _ in range(candidates)]
    margin = float(np.median([test.margin for test in equal]))
    worse = [setting.test(2 * margin, rng) for _ in range(candidates)]
    refused = sum(not test.accepted for test in equal) / candidates
    return ErrorRates(margin, refused, sum(test.accepted for test in worse) / candidates, candidates)


def table(candidates: int) -> Iterator[str]:
    """Yield the lines of a Markdown table of all settings."""
    yield "| data | rows | job's margin | margin | equal refused | worse by twice the margin passed |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for setting in SETTINGS:
        found = rates(setting, candidates)
        yield (
            f"| {setting.name} | {setting.rows:,} | {setting.margin} | {found.margin:.4f} "
            f"| {found.refused:.3f} | {found.passed:.3f} |"
        )


if __name__ == "__main__":
    for line in table(candidates=1_000):
        print(line)
