"""Four losses of one classifier.

Course document 003_f995c3228e7eacd7, exercises 1 and 3.

    vitrine study losses    one second

A logistic regression on the ten given points, then its squared error, cross-entropy, 0-1 and hinge loss, per point and
mean; and the losses of a uniform guess over five classes. The course fits with scikit-learn's lbfgs. The loss is
convex, so Newton's method finds the same minimum.

The course prints .1421 .4487 .2000 .6805, and 1.6094 and 0.8 for the guess. The study asserts these figures.
"""

import numpy as np
from matplotlib.axes import Axes

from training.core.array import Array
from training.core.errors import JobError
from training.core.job import JobOptions
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study

X = np.array([-1.8, -1.5, -0.8, -0.4, -0.2, 0.0, 0.1, 0.5, 1.0, 1.3])
Y = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
LOSSES = ("squared", "cross-entropy", "0-1", "hinge")
PRINTED = {
    "squared": 0.1421,
    "cross-entropy": 0.4487,
    "0-1": 0.2,
    "hinge": 0.6805,
    "uniform guess, cross-entropy": 1.6094,
    "uniform guess, squared": 0.8,
}
_TINY = 1e-5  # added inside logarithms, as in the course


def logistic_regression(x: Array, y: Array, c: float = 1.0) -> tuple[float, float]:
    """Fit a logistic regression; return slope and intercept.

    Minimises slope² / 2 + c · Σ log loss, as scikit-learn does by default.

    Args:
        x: float64 [n].
        y: float64 [n], 0 or 1.
        c: inverse strength of the penalty, which excludes the intercept.
    """
    design = np.stack([x, np.ones_like(x)], axis=1)
    penalty = np.diag([1.0, 0.0])
    weights = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = penalty @ weights + c * design.T @ (p - y)
        hessian = penalty + c * (design.T * (p * (1 - p))) @ design
        weights -= np.linalg.solve(hessian, gradient)
    return float(weights[0]), float(weights[1])


def losses(y: Array, y_hat: Array) -> dict[str, Array]:
    """Return each loss per point, float64 [n].

    The hinge loss uses labels −1 and +1 and the score 2(ŷ − ½).
    """
    return {
        "squared": (y - y_hat) ** 2,
        "cross-entropy": -(y * np.log(y_hat + _TINY) + (1 - y) * np.log(1 - y_hat + _TINY)),
        "0-1": (y != (y_hat >= 0.5)).astype(float),
        "hinge": np.maximum(0, 1 - (2 * y - 1) * 2 * (y_hat - 0.5)),
    }


def uniform_guess(classes: int) -> tuple[float, float]:
    """Return cross-entropy and squared error of a guess of 1 / classes for each class.

    The squared error is summed over the classes.
    """
    truth, guess = np.eye(classes)[-1], np.full(classes, 1 / classes)
    return float(-np.sum(truth * np.log(guess + _TINY))), float(np.sum((truth - guess) ** 2))


def run(options: JobOptions, say: Say) -> Findings:
    slope, intercept = logistic_regression(X, Y)
    y_hat = 1 / (1 + np.exp(-(slope * X + intercept)))
    each = losses(Y, y_hat)
    cross_entropy, squared = uniform_guess(5)
    figures = {name: float(values.mean()) for name, values in each.items()}
    figures |= {"uniform guess, cross-entropy": cross_entropy, "uniform guess, squared": squared}
    for name, value in figures.items():
        if abs(value - PRINTED[name]) > 1e-4:
            raise JobError(f"{name} is {value:.4f}; the course's {PRINTED[name]} is expected")
    points = zip(X, Y, y_hat, *each.values(), strict=True)
    rows = [(float(x), int(y), *map(float, values)) for x, y, *values in points]
    return Findings(
        columns=("x", "y", "ŷ", *LOSSES),
        rows=(*rows, ("mean", None, None, *(figures[name] for name in LOSSES))),
        data="the ten points of the exercise",
        figures=figures,
        notes=(
            f"ŷ = 1 / (1 + exp(−({slope:.4f}·x {intercept:+.4f}))).",
            f"A uniform guess over five classes: cross-entropy {cross_entropy:.4f}, squared error {squared:.1f}.",
            "From small to large: squared, 0-1, cross-entropy, hinge (answer d).",
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    x = findings.column(0)[:-1]  # without the mean
    for index, (name, marker) in enumerate(zip(LOSSES, "os^d", strict=True), 3):
        axes.plot(x, findings.column(index)[:-1], marker=marker, label=name)
    axes.legend(frameon=False)
    plots.dress(axes, "x", "loss of the point")


STUDY = Study(
    name="losses",
    title="Squared error, cross-entropy, 0-1 and hinge loss",
    course="003_f995c3228e7eacd7, exercises 1 and 3",
    run=run,
    plot=plot,
    printed=PRINTED,
)
