"""``vitrine sweep``."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.cli.options import Exports, exports_or_default
from serving.cli.terminal import fail
from training.cli import series_options as series
from training.cli.terminal import Quick, StandIn, console, exit_on_sigterm, quiet_tensorflow, say, starting_tensorflow
from training.core import preflight
from training.core.catalogue import find
from training.core.errors import JobError
from training.core.job import JobOptions

if TYPE_CHECKING:
    from training.core.recipe import Param
    from training.experiments.sweep import Stage, SweepState


def sweep(
    name: Annotated[str, typer.Argument(help="The job; vitrine train --list prints all.")],
    quick: Quick = False,
    stand_in: StandIn = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of your own pictures, as for vitrine train.")] = None,
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
    trials: Annotated[int, typer.Option(min=1, help="Trials of the coarse stage.")] = 20,
    fine_trials: Annotated[int, typer.Option(min=1, help="Trials of the fine stage.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Further seeds for each of the three best recipes; 1: none.")] = 3,
    subset: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the data in the coarse stage.")] = 0.2,
    storage: Annotated[
        str, typer.Option(envvar="VITRINE_STORAGE", help="Database; several machines share a postgresql://… one.")
    ] = ("sqlite:///.vitrine/sweeps/sweeps.db"),
    out: Annotated[
        Path | None, typer.Option(help="File for the best parameters; .vitrine/sweeps/JOB.json without it.")
    ] = None,
    exports: Exports = None,
) -> None:
    """Search a job's hyper-parameters: coarsely on a subset, then finely, then the best with several seeds.

    An interrupted sweep resumes.
    """
    quiet_tensorflow()
    exit_on_sigterm()
    path = out or Path(".vitrine/sweeps", f"{name}.json")
    try:
        options = JobOptions(
            quick=quick,
            stand_in=stand_in,
            data_dir=data_dir,
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
        )
        preflight.check_options(name, options)
        preflight.check_sweep(name, storage)
        preflight.check_writable(path.parent, "--out")
        options = preflight.with_start(name, options, ModelRegistry(exports_or_default(exports)))
    except (JobError, RegistryError, ConfigError, OSError) as error:
        raise fail(error) from None
    with starting_tensorflow():
        job = find(name)
        from training.experiments.sweep import Stage, search
    try:
        stages = (Stage("coarse", subset, trials), Stage("fine", 1.0, fine_trials))
        with _progress_bars(stages) as report:
            best = search(job, options, stages, storage, report, seeds)
    except KeyboardInterrupt:
        console.print("interrupted; the same command resumes it")
        raise typer.Exit(130) from None
    except (JobError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(best.params), indent=1) + "\n", encoding="utf-8")
    for param, value in best.params.items():
        console.print(f"{param}: {_number(value)} (the job's own: {_number(getattr(job.recipe, param))})")
    for rank, finalist in enumerate(best.finalists, 1):
        console.print(
            f"{rank}. {best.measure} {finalist.mean:.4f} ± {finalist.spread:.4f} on held-out data, "
            f"{len(finalist.values)} seeds: {_listed(finalist.params)}"
        )
    console.print(f"{best.pruned} of {best.finished} fine trials were pruned")
    arguments = shlex.join([name, *options.data_arguments(), "--params", str(path)])
    say(f"vitrine train {arguments}{' --as NAME' * options.own_data}", "green")


@contextmanager
def _progress_bars(stages: "tuple[Stage, ...]") -> Iterator[Callable[["SweepState"], None]]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} trials"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[state]}"),
        console=console,
    ) as bar:
        tasks = {stage.name: bar.add_task(stage.name, total=stage.trials, state="") for stage in stages}
        yield lambda state: bar.update(tasks[state.stage.name], completed=state.finished, state=_text(state))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value or "its own")


def _listed(params: "Mapping[str, Param]") -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in params.items())


def _text(state: "SweepState") -> str:
    return f"epoch {state.epoch}, {_listed(state.params)}" + (
        f"; best {state.best:.4f}" if state.best is not None else ""
    )
