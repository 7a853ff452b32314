"""Coarse, then fine search over optimiser, learning rate, momentum and batch size, on Boston Housing.

Course document 003_f995c3228e7eacd7, exercise 5.

    vitrine study coarse_to_fine            2 minutes on two CPU cores
    vitrine study coarse_to_fine --quick    10 seconds, two trials a stage

The exercise advises to search coarsely on few examples, and then finely on more of them. The coarse stage draws from
wide ranges and fits 100 rows; the fine stage keeps the best optimiser, draws from a quarter of each range around the
best values, and fits all 323 rows. Both stages are measured on 81 rows that are held out from the training part. The
test part measures the winner and Adam's defaults at the end, with three seeds each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from matplotlib.axes import Axes

from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Range, Recipe
from training.data import boston_housing
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study
from training.experiments.sweep import Part, narrowed, split
from training.jobs import boston_default

RANGES = {
    "learning rate": Range(1e-4, 1e-1),
    "momentum": Range(0.0, 0.95, "linear"),
    "batch size": Range(4, 128, "power_of_two", whole=True),
}
_DIVERGED = 1e6  # stands for an infinite error


@dataclass(frozen=True)
class Trial:
    """One choice of hyper-parameters and its error on the held-out rows; Adam has no momentum."""

    optimiser: str
    values: Mapping[str, float]
    error: float = 0.0

    @property
    def momentum(self) -> float | None:
        """Momentum of SGD."""
        return self.values["momentum"] if self.optimiser == "SGD" else None


def drawn(rng: np.random.Generator, ranges: Mapping[str, Range], optimisers: tuple[str, ...]) -> Trial:
    """Draw an optimiser, and a value of each range on its own scale."""
    values = {}
    for name, within in ranges.items():
        if within.scale == "power_of_two":
            values[name] = float(2 ** rng.integers(int(np.log2(within.low)), int(np.log2(within.high)), endpoint=True))
        elif within.scale == "log":
            values[name] = float(np.exp(rng.uniform(np.log(within.low), np.log(within.high))))
        else:
            values[name] = float(rng.uniform(within.low, within.high))
    return Trial(str(rng.choice(optimisers)), values)


def error(trial: Trial, examples: Examples, train: Part, measured: Part, epochs: int, seed: int) -> float:
    """Fit the net of exercise 7; return its mean squared error on the measured part."""
    keras.utils.set_random_seed(seed)
    rate, size = trial.values["learning rate"], int(trial.values["batch size"])
    model = boston_default.build(examples, JobOptions(), Recipe(epochs=epochs, batch_size=size, learning_rate=rate))
    if trial.momentum is not None:
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(rate, momentum=trial.momentum), metrics=["mae"])
    model.fit(*train, batch_size=size, epochs=epochs, verbose=0)
    found = float(model.evaluate(*measured, verbose=0)[0])
    return found if np.isfinite(found) else _DIVERGED


def run(options: JobOptions, say: Say) -> Findings:
    trials, epochs, seeds = (2, 2, (2,)) if options.quick else (16, 30, (2, 3, 4))
    examples = boston_housing.load()
    whole, held_out = split(examples, seed=2)
    rng, ranges = np.random.default_rng(2), dict(RANGES)
    optimisers: tuple[str, ...] = ("Adam", "SGD")
    rows: list[tuple[str | float | int | None, ...]] = []
    best = Trial("Adam", {"learning rate": 0.001, "momentum": 0.0, "batch size": 32.0}, _DIVERGED)
    default = best
    for stage, train in {"coarse": (whole[0][:100], whole[1][:100]), "fine": whole}.items():
        found = []
        for _ in range(trials):
            trial = drawn(rng, ranges, optimisers)
            trial = Trial(trial.optimiser, trial.values, error(trial, examples, train, held_out, epochs, seed=2))
            found.append(trial)
            say(f"{stage} {len(found)} of {trials}: {trial.optimiser}, {trial.error:.2f}")
        found.sort(key=lambda trial: trial.error)
        best = found[0]
        optimisers = (best.optimiser,)
        closer = {name: narrowed(within, best.values[name]) for name, within in ranges.items()}
        ranges = {name: within for name, within in closer.items() if isinstance(within, Range)}
        rows += [_row(f"{stage}, {rank}", trial, trial.error) for rank, trial in enumerate(found[:3], 1)]
    figures = {}
    for name, trial in {"the winner on the test part": best, "Adam's defaults on the test part": default}.items():
        errors = [error(trial, examples, examples.train, examples.test, epochs, seed) for seed in seeds]
        figures[f"test MSE, {name.removesuffix(' on the test part')}"] = float(np.mean(errors))
        rows.append(_row(name, trial, float(np.mean(errors))))
    return Findings(
        columns=("trial", "optimiser", *RANGES, "MSE"),
        rows=tuple(rows),
        data=f"{examples.data.name} ({examples.data.source})",
        figures=figures,
        notes=(f"{trials} trials a stage, {epochs} epochs each; the three best of each stage are shown.",),
    )


def _row(name: str, trial: Trial, found: float) -> tuple[str | float | int | None, ...]:
    return name, trial.optimiser, trial.values["learning rate"], trial.momentum, int(trial.values["batch size"]), found


def plot(findings: Findings, axes: Axes) -> None:
    positions = np.arange(len(findings.rows))
    axes.barh(positions, findings.column(5))
    axes.set_yticks(positions, [str(row[0]) for row in findings.rows])
    axes.invert_yaxis()
    plots.dress(axes, "MSE", "")


STUDY = Study(
    name="coarse_to_fine",
    title="Coarse, then fine search of hyper-parameters on Boston Housing",
    course="003_f995c3228e7eacd7, exercise 5",
    run=run,
    plot=plot,
)
