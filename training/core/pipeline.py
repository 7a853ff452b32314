"""Run one job from data to a published version: load → fit → evaluate → gate → export → check → publish → promote."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np

from serving.artifacts.model_card import ModelCard, Predicted, Training, Verdict
from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError, check_name
from training.core import fit, gate
from training.core.fit import Fitted, Progress, Run
from training.core.job import Evaluation, Examples, Job, JobError, JobOptions, Recipe
from training.core.worker_group import WorkerGroup
from training.data import sources
from training.export import plots, version
from training.export.servable import ExportedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``version`` is None where the gate refused."""

    metrics: Mapping[str, float]
    verdict: Verdict
    version: int | None
    card: ModelCard | None
    seconds: float
    resumed_at: int | None


Say = Callable[[str], None]


def run(
    job: Job,
    options: JobOptions,
    store: ModelRegistry,
    runs: Path,
    *,
    model_name: str | None = None,
    force: bool = False,
    fresh: bool = False,
    label: str | None = STABLE,
    team: WorkerGroup | None = None,
    progress: Progress = lambda epoch, percent, figures: None,
    say: Say = log.info,
) -> Outcome | None:
    """Train the job and, if the gate lets it, publish it and make it live; None where worker 0 of a team does that.

    Args:
        job, options: what to train and how.
        store: where versions are published.
        runs: folder for unfinished runs; a run found there goes on from its last epoch, unless ``fresh``.
        model_name: published under this name instead of the job's.
        force: publish in spite of the gate's refusal; recorded on the card.
        label: what points at the new version from then on; none: nothing is moved.
        team: the workers that share the fit; all have the folders ``runs`` and that of ``store``.
        progress, say: told how far the fit is, and a sentence for each step.

    Raises:
        JobError: the data cannot be had, an option does not fit, an unfinished run is another one, or another process
            is at it.
        WorkerLost: of the team.
        serving.artifacts.registry.RegistryError: ``model_name`` can be no model's name.
        serving.artifacts.models_config.ConfigError: models.config is not valid.
        training.export.check.CheckError: the exported version is not the model that was trained.
    """
    name = model_name or job.name
    check_name(name)
    store.configured()  # what nothing could be published beside is said now, not after hours
    if team and job.whole_batches:
        raise JobError(f"{job.name} cannot be shared by {team.size} workers: its loss compares the examples of a batch")
    recipe = job.recipe_for(options)
    options = with_start(job, options, store)
    if options.start:
        say(f"start: {job.starts_from} version {options.from_version}")
    fit.seed_everything(recipe)
    examples = job.load(options, recipe)
    say(f"data: {examples.data.name} from {examples.data.source}, {_rows(examples)}")
    if examples.data.stand_in:
        say(f"STAND-IN DATA: {examples.data.stand_in}; the figures say nothing about the real task")
    fit.seed_everything(recipe)
    model = job.build(examples, options, recipe)
    say(f"model: {model.count_params():,} parameters")
    unfinished = Run(
        runs / name,
        fit.identity(
            job.name,
            recipe,
            examples.data.sha256,
            {
                "quick": options.quick,
                "head": options.head,
                "from_version": options.from_version,
                **({"workers": team.size} if team else {}),
            },
        ),
    )
    leads = team is None or team.leads
    with unfinished.held() if leads else contextlib.nullcontext(), team.watched() if team else contextlib.nullcontext():
        if fresh and leads:
            unfinished.remove()
        if team:
            team.meet()
        before = {f"{key}_before": value for key, value in job.watch(model, examples).items()} if job.watch else {}
        fitted = fit.fit(model, examples, recipe, unfinished, progress, job.callbacks(), team)
        if not leads:
            return None
        if fitted.resumed_at is not None:
            say(f"resumed after epoch {fitted.resumed_at}")
        evaluation = job.evaluate(model, examples)
        if job.watch:
            before |= job.watch(model, examples)
        metrics = {**{key: values[-1] for key, values in fitted.history.items()}, **evaluation.metrics, **before}
        live = store.live(name)
        incumbent = gate.LiveVersion(live, store.card(name, live)) if live is not None else None
        verdict = gate.judge(metrics, examples.data, job.policy, incumbent, quick=options.quick)
        if not verdict.accepted:
            if not force:
                return Outcome(metrics, verdict, None, None, fitted.seconds, fitted.resumed_at)
            verdict = verdict.model_copy(update={"forced": True})
        servable = job.serve(model, examples)
        draft = _card(job, name, options, recipe, examples, model, servable, fitted, evaluation, metrics, verdict)
        with store.staging(name) as directory:
            _plots(directory / "assets.extra", fitted, evaluation, examples, servable)
            say("exporting, and checking the export in a clean process")
            finished = version.write(directory, servable, draft)
            number = store.publish(name, directory)
        unfinished.remove()
        if label is not None:
            store.promote(name, number, label)
        return Outcome(metrics, verdict, number, finished, fitted.seconds, fitted.resumed_at)


def with_start(job: Job, options: JobOptions, store: ModelRegistry) -> JobOptions:
    """The options with the version that the job starts from, if it is one that does.

    Raises:
        JobError: there is no such version.
    """
    if job.starts_from is None:
        return options
    number = store.live(job.starts_from) if options.from_version is None else options.from_version
    if number is None:
        raise JobError(
            f"{job.name} starts from a trained {job.starts_from}, and there is none in {store.root}: "
            f"train it first, with: vitrine train {job.starts_from}"
        )
    try:
        return replace(options, from_version=number, start=store.directory(job.starts_from, number))
    except RegistryError as error:
        raise JobError(f"{job.name} cannot start there: {error}") from None


def _card(
    job: Job,
    name: str,
    options: JobOptions,
    recipe: Recipe,
    examples: Examples,
    model: keras.Model,
    servable: ExportedModel,
    fitted: Fitted,
    evaluation: Evaluation,
    metrics: Mapping[str, float],
    verdict: Verdict,
) -> ModelCard:
    notes = list(evaluation.notes)
    if examples.data.stand_in:
        notes.append(f"Trained on stand-in data: {examples.data.stand_in}.")
    if options.start:
        notes.append(f"Started from {job.starts_from} version {options.from_version}.")
    if options.quick:
        notes.append("A quick run, shortened to show the way: its figures mean little.")
    return ModelCard(
        model=name,
        kind=servable.kind,
        title=job.title,
        course=job.course,
        created=datetime.now(UTC).replace(microsecond=0),
        labels=examples.labels,
        image=servable.image,
        neighbours=servable.neighbours,
        series=servable.series,
        table=servable.table,
        signal=servable.signal,
        signatures=version.signatures(servable),
        data=examples.data,
        training=Training(
            recipe={
                "job": job.name,
                **asdict(recipe),
                **{key: value for key in ("head", "from_version") if (value := getattr(options, key))},
            },
            quick=options.quick,
            seconds=round(fitted.seconds, 1),
            resumed_at=fitted.resumed_at,
        ),
        metrics={key: float(f"{value:.6g}") for key, value in metrics.items()},
        printed=dict(job.printed),
        inputs=dict(examples.inputs),
        predicted=_predicted(evaluation, len(examples.labels)),
        parameters=sum(network.count_params() for network in servable.models),
        trainable_parameters=int(sum(np.prod(w.shape) for w in model.trainable_weights)),
        gate=verdict,
        versions=dict(version.versions()),
        notes=tuple(notes),
    )


def _predicted(evaluation: Evaluation, classes: int) -> Predicted | None:
    if evaluation.confidence is None:
        return None
    shares = np.bincount(evaluation.answer, minlength=classes) / len(evaluation.answer)
    return Predicted(
        classes=tuple(round(float(share), 6) for share in shares),
        confidence=sources.distribution(evaluation.confidence),
    )


def _plots(folder: Path, fitted: Fitted, evaluation: Evaluation, examples: Examples, servable: ExportedModel) -> None:
    folder.mkdir(parents=True)
    plots.history(fitted.history, folder / "history.png")
    if examples.labels:
        plots.confusion(evaluation.truth, evaluation.answer, examples.labels, folder / "confusion.png")
    elif servable.series:
        plots.forecast(evaluation.truth, evaluation.answer, servable.series.unit, folder / "forecast.png")
    elif servable.table:
        plots.prediction(evaluation.truth, evaluation.answer, servable.table.target, folder / "prediction.png")


def _rows(examples: Examples) -> str:
    return ", ".join(f"{count:,} {part}" for part, count in examples.data.rows.items())
