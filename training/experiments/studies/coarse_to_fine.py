"""Coarse, then fine search over optimiser, learning rate, momentum and batch size, on Boston Housing.

Course document 003_f995c3228e7eacd7, exercise 5.

    vitrine study coarse_to_fine            2 minutes on two CPU cores
    vitrine study coarse_to_fine --quick    15 seconds, two trials a stage

The exercise advises to search coarsely on few examples, and then finely on more of them. The study runs the sweep of
`boston_default`: a coarse stage on 30 % of the rows, then a fine one on all of them, within a quarter of each range
around the best values. Trials are measured on a fifth of the training part that is held out. At the end the test part
measures the winner and Adam's defaults, with three seeds each.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace

import keras
import numpy as np
import optuna
from matplotlib.axes import Axes
from optuna.trial import TrialState

from training.core import fit
from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Param, Recipe
from training.data import boston_housing
from training.evaluation import plots
from training.experiments import sweep
from training.experiments.study import Cell, Findings, Say, Study
from training.experiments.sweep import Stage
from training.jobs import boston_default

_SHOWN = 3  # best trials of a stage


def error_of(examples: Examples, recipe: Recipe) -> float:
    """Fit the net of exercise 7; return its mean squared error on the test part."""
    fit.seed_everything(recipe)
    model = boston_default.build(examples, JobOptions(), recipe)
    fit.choose_optimizer(model, recipe)
    model.fit(*examples.train, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
    return float(model.evaluate(*examples.test, verbose=0)[0])


def run(options: JobOptions, say: Say) -> Findings:
    trials, epochs, seeds = (2, 2, (2,)) if options.quick else (12, 30, (2, 3, 4))
    examples = boston_housing.load()
    job = replace(boston_default.JOB, recipe=replace(boston_default.JOB.recipe, epochs=epochs))
    stages = (Stage("coarse", 0.3, trials), Stage("fine", 1.0, trials))
    said: set[tuple[str, int]] = set()

    def report(state: sweep.SweepState) -> None:
        if (key := (state.stage.name, state.finished)) not in said:
            said.add(key)
            say(f"{state.stage.name}: {state.finished} of {state.stage.trials} trials")

    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/trials.db"
        params = sweep.search(job, JobOptions(), stages, url, report).params
        for stage in stages:
            name = sweep.study_name(job, JobOptions(), examples.data, stage)
            found = optuna.load_study(study_name=name, storage=sweep.storage(url)).get_trials(
                states=(TrialState.COMPLETE,)
            )
            best = sorted(found, key=lambda trial: trial.value or 0.0)[:_SHOWN]
            for rank, trial in enumerate(best, 1):
                rows.append(_row(f"{stage.name}, {rank}", trial.user_attrs["params"], trial.value or 0.0))
    figures = {}
    defaults: Mapping[str, Param] = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 32}
    for name, chosen in {"the winner": params, "Adam's defaults": defaults}.items():
        recipes = [replace(job.recipe.with_params(chosen), seed=seed, numpy_seed=seed - 1) for seed in seeds]
        figures[f"test MSE, {name}"] = float(np.mean([error_of(examples, recipe) for recipe in recipes]))
        rows.append(_row(f"{name} on the test part", chosen, figures[f"test MSE, {name}"]))
    keras.backend.clear_session()
    return Findings(
        columns=("trial", "optimiser", "learning rate", "momentum", "batch size", "MSE"),
        rows=tuple(rows),
        data=f"{examples.data.name} ({examples.data.source})",
        figures=figures,
        notes=(f"{trials} trials a stage, {epochs} epochs each; the {_SHOWN} best of each stage are shown.",),
    )


def _row(name: str, params: Mapping[str, Param], error: float) -> tuple[Cell, ...]:
    return name, params["optimizer"], params["learning_rate"], params.get("momentum"), params["batch_size"], error


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
