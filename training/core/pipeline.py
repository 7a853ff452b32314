"""Run one job: load → fit → evaluate → gate → export → check → publish → promote."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import ModelCard, Verdict
from serving.artifacts.registry import STABLE, ModelRegistry, check_name
from training.comparison import published
from training.comparison.held_out import HeldOut, held_out
from training.core import gate, preflight
from training.core.card import Trained, model_card
from training.core.checkpoint import Checkpoint
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.fit import ProgressReport, choose_optimizer, fit, seed_everything
from training.core.job import Job, JobOptions, kept_apart
from training.core.recipe import Recipe
from training.core.worker_group import WorkerGroup
from training.evaluation import faithfulness, plots
from training.evaluation.assessment import assess
from training.export import version
from training.export.explanation import EXPLAIN
from training.export.exported_model import ExportedModel
from training.tracking import logs

log = logging.getLogger(__name__)

#: Receives one sentence for each step.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Publication:
    """Where and how a run publishes its version.

    Attributes:
        registry: the registry that takes the version.
        model: publish under this name instead of the job's.
        label: label to point at the new version; None moves no label.
        force: publish even if the gate refuses; the card records it.
        keep_apart: publish nothing; keep card and plots below the folder of checkpoints.
    """

    registry: ModelRegistry
    model: str | None = None
    label: str | None = STABLE
    force: bool = False
    keep_apart: bool = False


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    Attributes:
        trained: the fitted and evaluated model.
        verdict: the gate's verdict; None if the run is kept apart.
        version: the published version; None if the gate refused or the run is kept apart.
        card: the model card; None if the gate refused.
        kept: folder of card and plots, if the run is kept apart.
    """

    trained: Trained
    verdict: Verdict | None
    version: int | None = None
    card: ModelCard | None = None
    kept: Path | None = None


def run(
    job: Job,
    options: JobOptions,
    publication: Publication,
    runs: Path,
    *,
    fresh: bool = False,
    worker_group: WorkerGroup | None = None,
    progress: ProgressReport = lambda epoch, percent, metrics: None,
    say: Say = log.info,
) -> Outcome | None:
    """Train the job, and publish and promote the version if the gate accepts it.

    Args:
        job: what to train.
        options: how to train it.
        publication: where and how to publish it.
        runs: folder of checkpoints; an unfinished run resumes from there.
        fresh: discard an unfinished run.
        worker_group: workers that share the fit; all see the same ``runs`` and registry.
        progress: receives the progress of the fit.
        say: receives one sentence for each step.

    Returns:
        The outcome; None on a worker other than worker 0, which publishes.

    Raises:
        JobError: the data is unavailable, an option is invalid, the checkpoint belongs to another run, or another
            process trains in the same folder.
        NotComparable: the gate would refuse any result, because data or classes differ from the live version's.
        WorkerLost: another worker has stopped.
        serving.artifacts.registry.RegistryError: the model's name is invalid.
        serving.artifacts.models_config.ConfigError: models.config is invalid.
        training.export.check.CheckError: the exported version differs from the trained model.
    """
    name = publication.model or job.name
    check_name(name)
    publication.registry.configured()  # report an invalid models.config now, not after hours of training
    if worker_group and job.whole_batches:
        raise JobError(
            f"{job.name} cannot be shared by {worker_group.size} workers: its loss compares the examples of a batch"
        )
    recipe = job.recipe_for(options)
    options = replace(preflight.with_start(job.name, options, publication.registry), say=say)
    examples = _load(job, options, recipe, say)
    live = None if publication.keep_apart else gate.live_version(publication.registry, name)
    if live and not publication.force:
        preflight.refuse(name, gate.before_fit(examples.data, examples.labels, live, quick=options.quick))
    seed_everything(recipe)
    model = job.build(examples, options, recipe)
    choose_optimizer(model, recipe)
    say(f"model: {model.count_params():,} parameters")
    folder = kept_apart(runs, name) if publication.keep_apart else runs / name
    unfinished = Checkpoint(folder, _identity(job, options, recipe, examples, worker_group))
    leads = worker_group is None or worker_group.leads
    with _exclusive(unfinished, worker_group):
        if fresh and leads:
            unfinished.remove()
        if worker_group:
            worker_group.barrier()
        before = {f"{key}_before": value for key, value in job.watch(model, examples).items()} if job.watch else {}
        fitted = fit(model, examples, recipe, unfinished, progress, job.callbacks(), worker_group)
        if not leads:
            return None
        if fitted.resumed_at is not None:
            say(f"resumed after epoch {fitted.resumed_at}")
        evaluation = job.evaluate(model, examples)
        if job.watch:
            before |= job.watch(model, examples)
        metrics = {**{key: values[-1] for key, values in fitted.history.items()}, **evaluation.metrics, **before}
        logs.write(runs, name, datetime.now(UTC), fitted.history)
        trained = Trained(job, options, recipe, examples, model, fitted, evaluation, metrics)
        if publication.keep_apart:
            unfinished.remove()
            return _keep(trained, name, folder)
        outcome = _publish(trained, name, publication, say)
        if outcome.version is not None:
            unfinished.remove()
        return outcome


def _load(job: Job, options: JobOptions, recipe: Recipe, say: Say) -> Examples:
    if options.start:
        say(f"start: {job.starts_from} version {options.from_version}")
    seed_everything(recipe)
    examples = job.load(options, recipe)
    rows = ", ".join(f"{count:,} {part}" for part, count in examples.data.rows.items())
    say(f"data: {examples.data.name} from {examples.data.source}, {rows}")
    for name, choice in examples.chosen.items():
        say(f"{name}: {choice}")
    for note in examples.notes:
        say(note)
    if examples.data.stand_in:
        say(f"STAND-IN DATA: {examples.data.stand_in}; the figures say nothing about the real task")
    return examples


def _identity(
    job: Job, options: JobOptions, recipe: Recipe, examples: Examples, worker_group: WorkerGroup | None
) -> dict[str, object]:
    return {
        "job": job.name,
        **asdict(recipe),
        "quick": options.quick,
        "head": options.head,
        "from_version": options.from_version,
        **({"workers": worker_group.size} if worker_group else {}),
        "data": examples.data.sha256,
    }


@contextlib.contextmanager
def _exclusive(unfinished: Checkpoint, worker_group: WorkerGroup | None) -> Iterator[None]:
    """Lock the checkpoint on worker 0, and detect the loss of other workers."""
    with contextlib.ExitStack() as stack:
        if worker_group is None or worker_group.leads:
            stack.enter_context(unfinished.locked())
        if worker_group:
            stack.enter_context(worker_group.detect_loss())
        yield


def _publish(trained: Trained, name: str, publication: Publication, say: Say) -> Outcome:
    """Judge the model; if accepted or forced, export, publish and promote it."""
    job, examples, registry = trained.job, trained.examples, publication.registry
    exported = assess(job.serve(trained.model, examples), trained.model, examples, trained.evaluation, say)
    live = gate.live_version(registry, name)
    held = held_out(job.policy.metric, examples, trained.evaluation, exported)
    quick = trained.options.quick
    rival = live if live and gate.comparable(live, examples.data, examples.labels, quick=quick) else None
    if held and rival:
        say(f"measuring live version {rival.version} on {len(held.truth):,} rows of the {held.name} part")
    trained, exported = _explained(trained, exported, held)
    verdict = gate.judge(
        trained.metrics,
        examples.data,
        job.policy,
        live,
        labels=examples.labels,
        quick=quick,
        checks=(*trained.evaluation.checks, *exported.checks),
        on_rows=published.on_gate_rows(held, job.policy, registry, name, rival) if held else None,
    )
    if not verdict.accepted:
        if not publication.force:
            return Outcome(trained, verdict)
        verdict = verdict.model_copy(update={"forced": True})
    draft = model_card(name, trained, exported, verdict)
    with registry.staging(name) as directory:
        _plot(directory / "assets.extra", trained.fitted.history, trained.evaluation, examples, exported)
        say("exporting, and checking the export in a clean process")
        if held and exported.refitted:
            held.keep(directory)
        card = version.write(directory, exported, draft)
        number = registry.publish(name, directory)
    if publication.label is not None:
        registry.promote(name, number, publication.label)
    return Outcome(trained, verdict, number, card)


def _explained(trained: Trained, exported: ExportedModel, held: HeldOut | None) -> tuple[Trained, ExportedModel]:
    """Measure the heat maps of a classifier of pictures on the gate's rows, or on its samples, for card and gate."""
    if EXPLAIN not in exported.endpoints:
        return trained, exported
    samples = exported.endpoints["serving_default"].samples["image"]
    found = faithfulness.measure(exported.endpoints, held.inputs["image"] if held else samples)
    checked = replace(exported, checks=(*exported.checks, found.check()))
    return replace(trained, metrics={**trained.metrics, **found.metrics()}), checked


def _keep(trained: Trained, name: str, folder: Path) -> Outcome:
    """Write card and plots of a run that is not published."""
    served = trained.job.serve(trained.model, trained.examples)
    exported = assess(served, trained.model, trained.examples, trained.evaluation)
    _plot(folder, trained.fitted.history, trained.evaluation, trained.examples, exported)
    card = model_card(name, trained, exported, None)
    (folder / Path(CARD_FILE).name).write_text(card.model_dump_json(indent=1), encoding="utf-8")
    return Outcome(trained, None, card=card, kept=folder)


def _plot(
    folder: Path,
    history: dict[str, list[float]],
    evaluation: Evaluation,
    examples: Examples,
    exported: ExportedModel,
) -> None:
    folder.mkdir(parents=True)
    plots.history(history, folder / "history.png")
    if examples.labels:
        plots.confusion(evaluation.truth, evaluation.answer, examples.labels, folder / "confusion.png")
    elif exported.series:
        truth, answer = (rows[:, 0] if rows.ndim == 2 else rows for rows in (evaluation.truth, evaluation.answer))
        plots.forecast(truth, answer, exported.series, folder / "forecast.png")
    elif exported.table:
        plots.prediction(evaluation.truth, evaluation.answer, exported.table.target, folder / "prediction.png")
    if examples.shown:
        pictures, numbers = (part[: examples.shown] for part in examples.train)
        plots.pictures(pictures, [examples.labels[number] for number in numbers], folder / "pictures.png")
    if exported.reference_pictures is not None and exported.neighbours and (grid := exported.neighbours.sprite):
        about = f"{exported.neighbours.source}. Licence: {examples.data.licence}"
        plots.sprite(exported.reference_pictures, grid.columns, about, folder / grid.file)
