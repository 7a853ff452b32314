"""Search a job's hyper-parameters in two stages.

The courses advise two stages (003_f995c3228e7eacd7, exercise 5, c). The coarse stage searches wide ranges on a subset
of the training part, the fine stage narrow ranges around the best on all of it. Each stage is an Optuna study in a
storage that several processes may share; starting the same sweep again resumes it. Trials are measured on data held out
from the training part, never on the test part. Optuna prunes trials that are worse than the median of the others at the
same epoch.

The best trials of the fine stage are fitted again with other seeds, and the best mean of those fits decides: one seed
says little about close recipes, and a trial that was chosen for its value is often a lucky one. The sampler is seeded,
so a sweep in one process gives the same trials again.
"""

import math
import os
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from serving.artifacts.model_card import Data
from training.core import fit
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import Job, JobOptions
from training.core.recipe import Choices, Param, Range, Recipe

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
optuna.logging.set_verbosity(optuna.logging.WARNING)
_HELD_OUT = 0.2
_FINALISTS = 3
_PARAMS, _WORKER = "params", "worker"  # attributes of a trial: the recipe's fields, and the process that fitted them

Part = tuple[Array, Array]


@dataclass(frozen=True)
class Stage:
    """One stage of a sweep: share of the training part, and number of finished trials.

    All processes together finish ``trials`` trials.
    """

    name: str
    share: float
    trials: int


@dataclass(frozen=True)
class Finalist:
    """A recipe of the fine stage, with the metric on the held-out part for each further seed, or that of its trial."""

    params: Mapping[str, Param]
    values: Sequence[float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 of one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


@dataclass(frozen=True)
class Best:
    """Result of a sweep.

    Attributes:
        finalists: the best recipes of the fine stage, best mean first.
        measure: the metric that decided.
        finished: number of finished trials of the fine stage.
        pruned: number of those that were pruned.
    """

    finalists: Sequence[Finalist]
    measure: str
    finished: int
    pruned: int

    @property
    def params(self) -> Mapping[str, Param]:
        """Fields of the job's recipe, of the best finalist."""
        return self.finalists[0].params


@dataclass(frozen=True)
class SweepState:
    """Progress of a stage; ``best`` is None before its first complete trial."""

    stage: Stage
    finished: int
    epoch: int
    params: Mapping[str, Param]
    best: float | None


Report = Callable[[SweepState], None]


def storage(url: str) -> RDBStorage:
    """Open an SQLite or PostgreSQL storage; ``postgresql://…`` uses psycopg.

    Raises:
        JobError: the address is invalid, or the database does not answer.
    """
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if address.startswith("sqlite:///"):
        Path(address.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        try:
            return RDBStorage(address)
        except (IntegrityError, ProgrammingError):  # another process creates the tables at the same moment
            time.sleep(2)
            return RDBStorage(address)
    except (SQLAlchemyError, StorageInternalError, ImportError, ValueError) as error:
        raise JobError(
            f"--storage cannot be used: {str(error).splitlines()[0]}; "
            "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE is expected"
        ) from None


def search(job: Job, options: JobOptions, stages: tuple[Stage, ...], url: str, report: Report, seeds: int = 1) -> Best:
    """Run all stages in turn; finished trials of earlier and other processes count.

    Args:
        job: the job to search.
        options: its options.
        stages: the stages in turn.
        url: storage of the trials.
        report: receives the progress.
        seeds: number of further seeds with which the best trials of the last stage are fitted; 1: none.

    Raises:
        JobError: the job has no hyper-parameters to search, the data or the storage is unavailable, or no trial of a
            stage completed.
    """
    if not job.search:
        raise JobError(f"{job.name} has no hyper-parameters to search")
    shared = storage(url)
    recipe = job.recipe_for(options)
    fit.seed_everything(recipe)
    examples = job.load(options, recipe)
    trained, held_out = split(examples, recipe.seed)
    measure, direction = measured_by(job)
    ranges: Mapping[str, Range | Choices] = job.search
    for stage in stages:
        study = optuna.create_study(
            study_name=study_name(job, options, examples.data, stage),
            storage=shared,
            load_if_exists=True,
            direction=direction,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        )
        # Another seed after a resumption: the same one would suggest the first trials again.
        begun = len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=5, seed=recipe.seed + begun)
        ranges = _shared_ranges(study, ranges)
        count = max(1, int(stage.share * len(trained[0])))
        part = (trained[0][:count], trained[1][:count])
        trial = _Trial(job, options, recipe, replace(examples, train=part, validation=held_out), ranges, measure)
        _finish(study, stage, trial, report)
        best = study.best_trial.user_attrs[_PARAMS]
        ranges = {name: narrowed(within, best[name]) for name, within in ranges.items() if name in best}
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    finalists = _finalists(study, trial, seeds)
    return Best(finalists, measure, sum(s in DONE for s in states), states.count(TrialState.PRUNED))


def study_name(job: Job, options: JobOptions, data: Data, stage: Stage) -> str:
    """Return the name of a stage's study; different data of the user's own has different studies."""
    own = f"{data.sha256}/" if options.own_data else ""
    return f"{job.name}/{own}{'quick-' if options.quick else ''}{stage.name}"


def measured_by(job: Job) -> tuple[str, str]:
    """Return metric and direction: accuracy if the job's gate uses it, else the loss."""
    return ("val_accuracy", "maximize") if "accuracy" in job.policy.metric else ("val_loss", "minimize")


def split(examples: Examples, seed: int) -> tuple[Part, Part]:
    """Return the part to fit and the held-out part.

    The held-out part is the job's validation part, unless that is the test part, as in Boston Housing. Otherwise it is
    a fifth of the shuffled training part.
    """
    x, y = examples.train
    if examples.validation is not None and examples.validation[0] is not examples.test[0]:
        return (x, y), examples.validation
    order = np.random.default_rng(seed).permutation(len(x))
    cut = int(_HELD_OUT * len(x))
    return (x[order[cut:]], y[order[cut:]]), (x[order[:cut]], y[order[:cut]])


def suggest(trial: optuna.Trial, name: str, within: Range | Choices) -> Param:
    """Sample a value of the range."""
    if isinstance(within, Choices):
        chosen: str = trial.suggest_categorical(name, within.names)
        return chosen
    if within.scale == "power_of_two":
        return 1 << trial.suggest_int(f"log2 {name}", int(math.log2(within.low)), int(math.log2(within.high)))
    if within.whole:
        return trial.suggest_int(name, int(within.low), int(within.high), log=within.scale == "log")
    return trial.suggest_float(name, within.low, within.high, log=within.scale == "log")


def suggest_all(trial: optuna.Trial, ranges: Mapping[str, Range | Choices]) -> dict[str, Param]:
    """Sample a recipe. Momentum comes last, because only sgd has it here."""
    params = {name: suggest(trial, name, within) for name, within in ranges.items() if name != "momentum"}
    if "momentum" in ranges and params.get("optimizer") == "sgd":
        params["momentum"] = suggest(trial, "momentum", ranges["momentum"])
    return params


def narrowed(within: Range | Choices, best: Any) -> Range | Choices:
    """Return a quarter of the range around the best value; of choices the best one.

    The quarter is taken on the range's own scale, within its ends.
    """
    if isinstance(within, Choices):
        return Choices((best,))
    to, back = (float, float) if within.scale == "linear" else (math.log2, lambda value: 2.0**value)
    low, high, middle = to(within.low), to(within.high), to(best)
    reach = (high - low) / 8
    if within.scale == "power_of_two":
        reach = max(1, round(reach))
    ends = back(max(low, middle - reach)), back(min(high, middle + reach))
    return (
        replace(within, low=round(ends[0]), high=round(ends[1]))
        if within.whole
        else replace(within, low=ends[0], high=ends[1])
    )


def _shared_ranges(study: optuna.Study, ranges: Mapping[str, Range | Choices]) -> dict[str, Range | Choices]:
    """Return the stage's ranges, which the first process sets for all."""
    if "ranges" not in study.user_attrs:
        study.set_user_attr("ranges", {name: vars(within) for name, within in ranges.items()})
    return {
        name: Choices(tuple(within["names"])) if "names" in within else Range(**within)
        for name, within in study.user_attrs["ranges"].items()
    }


def _finalists(study: optuna.Study, fits: "_Trial", seeds: int) -> list[Finalist]:
    """Fit the best trials with further seeds. The storage keeps each value, so that a resumed sweep goes on."""
    higher = study.direction == optuna.study.StudyDirection.MAXIMIZE
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = sorted(complete, key=lambda trial: trial.values[0], reverse=higher)[: _FINALISTS if seeds > 1 else 1]
    finalists = []
    for trial in best:
        params = trial.user_attrs[_PARAMS]
        values = [*trial.values] if seeds == 1 else []
        for seed in range(fits.recipe.seed + 1, fits.recipe.seed + 1 + (seeds if seeds > 1 else 0)):
            key = f"trial {trial.number}, seed {seed}"
            if key not in study.user_attrs:
                study.set_user_attr(key, fits.fit(replace(fits.recipe.with_params(params), seed=seed, numpy_seed=seed)))
            values.append(study.user_attrs[key])
        finalists.append(Finalist(params, values))
    return sorted(finalists, key=lambda finalist: finalist.mean, reverse=higher)


@dataclass
class _Trial:
    """Fits the job with a trial's values; returns the metric on the held-out part."""

    job: Job
    options: JobOptions
    recipe: Recipe
    examples: Examples
    ranges: Mapping[str, Range | Choices]
    measure: str
    on_epoch: Callable[[int, Mapping[str, Any]], None] = lambda epoch, params: None

    def __call__(self, trial: optuna.Trial) -> float:
        params = suggest_all(trial, self.ranges)
        trial.set_user_attr(_PARAMS, params)
        trial.set_user_attr(_WORKER, f"{socket.gethostname()}/{os.getpid()}")

        def report(epoch: int, value: float) -> None:
            trial.report(value, epoch)
            self.on_epoch(epoch + 1, params)
            if math.isnan(value) or trial.should_prune():
                raise optuna.TrialPruned

        return self.fit(self.recipe.with_params(params), report)

    def fit(self, recipe: Recipe, report: Callable[[int, float], None] = lambda epoch, value: None) -> float:
        """Fit the recipe and return the metric on the held-out part."""
        keras.backend.clear_session()
        fit.seed_everything(recipe)
        model = self.job.build(self.examples, self.options, recipe)
        fit.choose_optimizer(model, recipe)
        values: list[float] = []

        def on_epoch_end(epoch: int, logs: Mapping[str, float]) -> None:
            values.append(float(logs[self.measure]))
            report(epoch, values[-1])

        model.fit(
            *self.examples.train,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            validation_data=self.examples.validation,
            callbacks=[*self.job.callbacks(), keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)],
            verbose=0,
        )
        return values[-1]


def _finish(study: optuna.Study, stage: Stage, trial: _Trial, report: Report) -> None:
    """Run trials until all processes together have finished the stage's number."""

    def finished() -> int:
        return len(study.get_trials(deepcopy=False, states=DONE))

    def on_epoch(epoch: int, params: Mapping[str, Any]) -> None:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        report(SweepState(stage, finished(), epoch, params, study.best_value if complete else None))

    trial.on_epoch = on_epoch
    if finished() < stage.trials:
        study.optimize(trial, callbacks=[MaxTrialsCallback(stage.trials, states=DONE)])
    on_epoch(trial.recipe.epochs, {})
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise JobError(f"none of the {stage.trials} trials of the {stage.name} stage completed")
