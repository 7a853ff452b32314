"""Constant and decaying learning rates on Boston Housing.

Course document 003_f995c3228e7eacd7, exercise 7.

    vitrine study learning_rate_decay            1 minute on two CPU cores
    vitrine study learning_rate_decay --quick    8 seconds, three epochs

The course compares Adam's default with 0.02 that decays from epoch 10 on, which changes two factors at once. The study
separates them: constant rates of 0.001 and 0.02, then 0.02 with the decay of exercise 7, of exercise 8, a cosine and
halving. Each runs 50 epochs with three seeds; the table shows means.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from matplotlib.axes import Axes

from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.data import boston_housing
from training.evaluation import plots
from training.experiments.studies import batch_size
from training.experiments.study import Findings, Say, Study
from training.jobs import boston_decay, boston_default

EPOCHS = 50
SCHEDULES: dict[str, tuple[float, Callable[[int, float], float]]] = {
    "0.001, Adam's default": (0.001, lambda epoch, rate: rate),
    "0.02": (0.02, lambda epoch, rate: rate),
    "0.02, ×exp(−0.05) from 10": (0.02, boston_decay.schedule),
    "0.02, ×exp(−0.1) from 6": (0.02, batch_size.schedule),
    "0.02, cosine to 0": (0.02, lambda epoch, rate: 0.01 * (1 + math.cos(math.pi * epoch / EPOCHS))),
    "0.02, halved every 10": (0.02, lambda epoch, rate: rate / 2 if epoch and epoch % 10 == 0 else rate),
}


def errors(examples: Examples, name: str, seed: int, epochs: int) -> tuple[float, float, float]:
    """Fit with one schedule; return training MSE, test MSE and the last learning rate."""
    rate, schedule = SCHEDULES[name]
    keras.utils.set_random_seed(seed)
    np.random.seed(seed - 1)
    recipe = Recipe(epochs=epochs, batch_size=32, learning_rate=rate)
    model = boston_default.build(examples, JobOptions(), recipe)
    callbacks = [keras.callbacks.LearningRateScheduler(schedule)]
    model.fit(*examples.train, batch_size=32, epochs=epochs, callbacks=callbacks, verbose=0)
    train, test = (model.evaluate(*part, verbose=0)[0] for part in (examples.train, examples.test))
    return float(train), float(test), float(model.optimizer.learning_rate)


def run(options: JobOptions, say: Say) -> Findings:
    seeds, epochs = ((2,), 3) if options.quick else ((2, 3, 4), EPOCHS)
    examples = boston_housing.load()
    rows = []
    for name in SCHEDULES:
        found = [errors(examples, name, seed, epochs) for seed in seeds]
        train, test, last = np.mean(found, axis=0)
        rows.append((name, float(last), float(train), float(test), float(np.std([row[1] for row in found]))))
        say(f"{name}: training MSE {train:.2f}, test {test:.2f}")
    best = min(rows, key=lambda row: row[3])
    return Findings(
        columns=("learning rate", "at the end", "training MSE", "test MSE", "± over seeds"),
        rows=tuple(rows),
        data=f"{examples.data.name} ({examples.data.source})",
        figures={f"test MSE, {row[0]}": row[3] for row in rows},
        notes=(
            f"Least test error: {best[0]}, {best[3]:.1f}; Adam's default {rows[0][3]:.1f}, 0.02 without decay "
            f"{rows[1][3]:.1f}.",
            "± is the deviation of the test error over the seeds: smaller differences between schedules mean nothing.",
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    positions = np.arange(len(findings.rows))
    axes.barh(positions - 0.2, findings.column(2), 0.4, color="lightgrey", label="training")
    axes.barh(positions + 0.2, findings.column(3), 0.4, xerr=findings.column(4), label="test")
    axes.set_yticks(positions, [str(row[0]) for row in findings.rows])
    axes.invert_yaxis()
    axes.legend(frameon=False)
    plots.dress(axes, "MSE after the fit", "")


STUDY = Study(
    name="learning_rate_decay",
    title="Learning rates that stay and that decay, on Boston Housing",
    course="003_f995c3228e7eacd7, exercise 7",
    run=run,
    plot=plot,
)
