"""``vitrine train``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError, check_label, check_name
from serving.cli.options import Exports, SigningKey, exports_or_default
from serving.cli.terminal import fail
from serving.cli.versions import load_signer
from training.cli import series_options as series
from training.cli.outcome import print_outcome
from training.cli.terminal import (
    Quick,
    StandIn,
    console,
    exit_on_sigterm,
    print_names,
    quiet_tensorflow,
    say,
    starting_tensorflow,
)
from training.core import preflight
from training.core.catalogue import JOBS, find
from training.core.errors import JobError, NotComparable, WorkerLost
from training.core.job import CSV_OPTIONS, Job, JobOptions
from training.core.recipe import Param
from training.tracking import mlflow_server

if TYPE_CHECKING:
    from training.core.fit import ProgressReport
    from training.core.pipeline import Outcome, Publication


def train(
    name: Annotated[str | None, typer.Argument(help="The job; --list prints all.", show_default=False)] = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="Print every job.")] = False,
    quick: Quick = False,
    stand_in: StandIn = False,
    csv: series.Csv = None,
    column: series.Column = None,
    time_column: series.TimeColumn = None,
    period: series.PeriodName = None,
    season: series.Season = None,
    unit: series.Unit = None,
    day_first: series.DayFirst = None,
    decimal: series.Decimal = None,
    splits: series.Splits = None,
    drop_missing: series.DropMissing = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder or ZIP file with one folder of pictures for each class; o and x for xo_cnn and xo_mobilenet."
        ),
    ] = None,
    head: Annotated[
        Literal["softmax", "sigmoid"] | None, typer.Option(help="Output layer of xo_mobilenet; softmax without it.")
    ] = None,
    from_version: Annotated[
        int | None, typer.Option(min=1, help="Version of fashion_cnn that mnist_transfer starts from.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed instead of the course's seeds.")] = None,
    params: Annotated[
        Path | None, typer.Option(help="JSON file of recipe parameters, as vitrine sweep writes it.")
    ] = None,
    model: Annotated[str | None, typer.Option("--as", help="Publish under this name.")] = None,
    title: Annotated[str | None, typer.Option(help="Title on the model card and the page.")] = None,
    force: Annotated[bool, typer.Option(help="Publish even if the gate refuses; the card records it.")] = False,
    fresh: Annotated[bool, typer.Option(help="Discard an unfinished run instead of resuming it.")] = False,
    promote: Annotated[bool, typer.Option(help="Point --label at the new version.")] = True,
    label: Annotated[str, typer.Option(help="stable makes the new version live; canary does not.")] = STABLE,
    signing_key: SigningKey = None,
    exports: Exports = None,
    runs: Annotated[Path, typer.Option(help="Folder of checkpoints.")] = Path(".vitrine/runs"),
) -> None:
    """Train a model, compare it with the live version, and publish a new version.

    A --quick run publishes nothing without --as or --force; its card and plots stay below --runs.
    """
    if list_jobs or name is None:
        print_names("job", JOBS)
        return
    quiet_tensorflow()
    exit_on_sigterm()
    keep_apart = quick and model is None and not force
    try:
        options = JobOptions(
            quick=quick,
            stand_in=stand_in,
            csv=csv,
            column=column,
            time_column=time_column,
            period=period,
            season=season,
            unit=unit,
            day_first=day_first,
            decimal=decimal,
            splits=splits,
            drop_missing=drop_missing,
            data_dir=data_dir,
            head=head,
            seed=seed,
            from_version=from_version,
            title=title,
            params=read_params(params) if params else {},
        )
        preflight.check_options(name, options)
        check_name(model or name)
        check_label(label)
        _say_series(name, options)
        preflight.check_writable(runs, "--runs")
        registry = ModelRegistry(exports_or_default(exports), load_signer(signing_key) if signing_key else None)
        preflight.check_registry(registry)
        preflight.with_start(name, options, registry)
        if not keep_apart and not force:
            preflight.check_live(model or name, options, registry)
    except NotComparable as error:
        fail(error)
        raise typer.Exit(error.EXIT_CODE) from None
    except (JobError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    with starting_tensorflow():
        job = find(name)
        from training.core.pipeline import Publication
        from training.export.check import CheckError
    try:
        publication = Publication(registry, model, label if promote else None, force, keep_apart)
        outcome = _run(job, options, publication, runs, fresh)
    except KeyboardInterrupt:
        console.print("interrupted; the same command resumes it")
        raise typer.Exit(130) from None
    except (WorkerLost, NotComparable) as error:
        fail(error)
        raise typer.Exit(error.EXIT_CODE) from None
    except (JobError, CheckError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    if outcome is None:
        console.print("[green]done; worker 0 prints the result")
        return
    print_outcome(model or name, outcome)
    if outcome.kept:
        say(
            f"A quick run: nothing was published. Card and plots are in {outcome.kept}\n"
            "The same command without --quick publishes the fully trained model. With --as NAME it publishes this "
            "quick one as a model of its own.",
            "green",
        )
        return
    if outcome.version is None:
        raise typer.Exit(NotComparable.EXIT_CODE)
    _say_published(outcome, registry, model or name, label if promote else None)
    if options.own_data and promote and label == STABLE:
        _say_how_to_ask(model or name, csv)


def _say_published(outcome: "Outcome", registry: ModelRegistry, model: str, label: str | None) -> None:
    """Print the new version's number and label, and record it on the MLflow server, if there is one."""
    console.print(
        f"[green]published as version {outcome.version}"
        + (f", {'live' if label == STABLE else label}" if label else "")
    )
    if outcome.card and outcome.version:
        mlflow_server.record(registry, model, outcome.card, outcome.version, say)


def _say_how_to_ask(model: str, csv: Path | None) -> None:
    """Print the next commands for a live model of the user's own data."""
    ask = f"vitrine forecast {model} --csv {csv}" if csv else f"vitrine predict --model {model} PICTURE"
    say(f"vitrine up serves it, with a page. In another terminal: {ask}")


def _say_series(name: str, options: JobOptions) -> None:
    """Read the user's series before TensorFlow starts, and print its column, period and unit."""
    if CSV_OPTIONS & set(options.own()):
        from training.data import stocks

        fewest = stocks.FEWEST_OF_FORECASTER if name == "forecaster" else stocks.FEWEST
        for phrase in stocks.describe(stocks.from_options(options, fewest=fewest)):
            console.print(phrase, soft_wrap=True, markup=False, highlight=False)


def read_params(path: Path) -> dict[str, Param]:
    """Read recipe parameters from a JSON file; the job validates them.

    Raises:
        JobError: the file cannot be read, or is not a JSON object.
    """
    try:
        params = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"--params {path} cannot be read: {error}") from None
    if not isinstance(params, dict):
        raise JobError(f'--params {path} is not a JSON object; an example is {{"learning_rate": 0.001}}')
    return params


def _run(job: Job, options: JobOptions, publication: "Publication", runs: Path, fresh: bool) -> "Outcome | None":
    from training.core.pipeline import run
    from training.core.worker_group import WorkerGroup

    worker_group = WorkerGroup.from_environment()
    exit_on_sigterm()  # again: TensorFlow's server for the worker group replaces the handler and ignores the signal
    with _progress_bar(job.recipe_for(options).epochs) as progress:
        outcome = run(
            job,
            options,
            publication,
            runs,
            fresh=fresh,
            worker_group=worker_group,
            progress=progress,
            say=say,
        )
    if worker_group:
        worker_group.finish()
    return outcome


@contextmanager
def _progress_bar(epochs: int) -> Iterator["ProgressReport"]:
    with Progress(
        TextColumn("epoch {task.fields[epoch]} of {task.fields[epochs]}"),
        BarColumn(bar_width=10),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[metrics]}", table_column=Column()),  # wraps in a narrow terminal
        console=console,
    ) as bar:
        task = bar.add_task("", total=100 * epochs, epoch=1, epochs=epochs, metrics="", visible=False)

        def report(epoch: int, percent: int, metrics: Mapping[str, float]) -> None:
            shown = " ".join(f"{key} {value:.4g}" for key, value in metrics.items())
            bar.update(task, completed=100 * epoch + percent, epoch=epoch + 1, metrics=shown, visible=True)

        yield report
