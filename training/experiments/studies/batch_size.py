"""Test error on Boston Housing by batch size.

Course document 003_f995c3228e7eacd7, exercise 8.

    vitrine study batch_size            1 minute on two CPU cores
    vitrine study batch_size --quick    5 seconds, three sizes

The net of `boston_default` is fitted with batches of 2 to 256, for ⌊log2(512 · batch)⌋ epochs: 10 to 17. Adam starts at
0.02; from epoch 6 on each epoch multiplies the rate by exp(−0.1) and rounds it to four decimals. The course has one run
per size. Seed 2 repeats it, and two more seeds show the variance of a single run.

The course prints test MSE 22.47 19.14 23.93 21.63 25.31 23.75 30.69 129.76. Expect similar errors up to 64, and more
from 128 on.
"""

import math

import keras
import numpy as np
from matplotlib.axes import Axes

from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.data import boston_housing
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study
from training.jobs import boston_default

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
PRINTED = dict(zip(SIZES, (22.47, 19.14, 23.93, 21.63, 25.31, 23.75, 30.69, 129.76), strict=True))


def epochs_for(batch_size: int) -> int:
    """Return ⌊log2(512 · batch size)⌋: larger batches get more epochs."""
    return math.floor(math.log2(512 * batch_size))


def schedule(epoch: int, rate: float) -> float:
    """Return the next epoch's learning rate; epochs count from 0."""
    return rate if epoch < 6 else round(rate * math.exp(-0.1), 4)


def test_mse(examples: Examples, batch_size: int, seed: int) -> float:
    keras.utils.set_random_seed(seed)
    np.random.seed(seed - 1)  # the course's seed 1 for NumPy, 2 for TensorFlow
    recipe = Recipe(epochs=epochs_for(batch_size), batch_size=batch_size, learning_rate=0.02)
    model = boston_default.build(examples, JobOptions(), recipe)
    model.fit(
        *examples.train,
        batch_size=batch_size,
        epochs=recipe.epochs,
        callbacks=[keras.callbacks.LearningRateScheduler(schedule)],
        verbose=0,
    )
    return float(model.evaluate(*examples.test, verbose=0)[0])


def run(options: JobOptions, say: Say) -> Findings:
    if (epochs_for(SIZES[0]), epochs_for(SIZES[-1])) != (10, 17):
        raise JobError("the numbers of epochs differ from the course's 10 to 17")
    sizes, seeds = ((32, 128, 256), (2,)) if options.quick else (SIZES, (2, 3, 4))
    examples = boston_housing.load()
    rows = []
    for size in sizes:
        errors = [test_mse(examples, size, seed) for seed in seeds]
        rows.append((size, epochs_for(size), errors[0], min(errors), max(errors), PRINTED[size]))
        say(f"batch {size}: test MSE {errors[0]:.2f} after {epochs_for(size)} epochs")
    by_error = sorted(rows, key=lambda row: row[2])
    return Findings(
        columns=("batch", "epochs", "test MSE", "least of the seeds", "most", "printed"),
        rows=tuple(rows),
        data=f"{examples.data.name} ({examples.data.source})",
        figures={f"test MSE, batch {row[0]}": row[2] for row in rows},
        notes=(
            f"Best: {by_error[0][0]} and {by_error[1][0]}; worst: {by_error[-1][0]} and {by_error[-2][0]}. "
            "The course: best 4 and 16, worst 256 and 128.",
            "The net's output is a ReLU: a run in which it dies answers 0 to everything, a test MSE near 600.",
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    sizes = findings.column(0)
    axes.fill_between(sizes, findings.column(3), findings.column(4), alpha=0.2, label="all seeds")
    axes.plot(sizes, findings.column(2), "o-", label="ours, seed 2")
    axes.plot(sizes, findings.column(5), "s--", color="black", label="printed")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.legend(frameon=False)
    plots.dress(axes, "batch size", "test MSE")


STUDY = Study(
    name="batch_size",
    title="Test error on Boston Housing, by batch size",
    course="003_f995c3228e7eacd7, exercise 8",
    run=run,
    plot=plot,
    printed={f"test MSE, batch {size}": error for size, error in PRINTED.items()},
)
