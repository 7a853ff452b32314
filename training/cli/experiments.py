"""The commands that ask a question instead of making a model: ``vitrine study``, ``sweep``, ``reproduce``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.cli.models import Exports, app
from serving.cli.terminal import fail
from training.cli.terminal import console, exit_on_sigterm, print_names, quiet_tensorflow
from training.core.catalogue import STUDIES
from training.core.job import JobError, JobOptions

if TYPE_CHECKING:
    from training.experiments.sweep import SweepState

Quick = Annotated[bool, typer.Option(help="Seconds instead of minutes; the figures mean little.")]
StandIn = Annotated[bool, typer.Option(help="Synthetic data where the real data cannot be had.")]


@app.command()
def study(
    name: Annotated[str | None, typer.Argument(help="The study; --list prints them all.", show_default=False)] = None,
    list_studies: Annotated[bool, typer.Option("--list", help="Print every study.")] = False,
    quick: Quick = False,
    stand_in: StandIn = False,
    folder: Annotated[Path, typer.Option(help="Where tables and plots go.")] = Path(".vitrine/studies"),
) -> None:
    """Run an experiment that ends in a table and a plot."""
    if list_studies or name is None:
        print_names("study", STUDIES)
        return
    quiet_tensorflow()
    from training.core.catalogue import find_study

    try:
        with console.status("starting TensorFlow"):
            chosen = find_study(name)
        from training.experiments import study as studying

        into = folder / name
        findings = studying.perform(chosen, JobOptions(quick=quick, stand_in=stand_in), into, console.print)
    except (JobError, OSError) as error:
        raise fail(error) from None
    console.print(studying.table(chosen, findings))
    for note in findings.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    console.print(f"{into / studying.TABLE_FILE} and {studying.PLOT_FILE}, after {findings.seconds:.0f} s")


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(help="The job; vitrine train --list prints them all.")],
    quick: Quick = False,
    stand_in: StandIn = False,
    trials: Annotated[int, typer.Option(min=1, help="Of the coarse stage.")] = 20,
    fine_trials: Annotated[int, typer.Option(min=1, help="Of the fine stage.")] = 10,
    subset: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the data in the coarse stage.")] = 0.2,
    storage: Annotated[
        str, typer.Option(envvar="VITRINE_STORAGE", help="postgresql://… lets several machines share the sweep.")
    ] = ("sqlite:///.vitrine/sweeps/sweeps.db"),
    out: Annotated[Path | None, typer.Option(help="The best parameters; .vitrine/sweeps/JOB.json without it.")] = None,
    exports: Exports = "exports",
) -> None:
    """Search a job's parameters, coarsely on a subset, then finely; an interrupted sweep goes on."""
    quiet_tensorflow()
    exit_on_sigterm()
    from training.core.catalogue import find

    try:
        with console.status("starting TensorFlow"):
            job = find(name)
            from training.core.pipeline import with_start
            from training.experiments import sweep as sweeping
        stages = (sweeping.Stage("coarse", subset, trials), sweeping.Stage("fine", 1.0, fine_trials))
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} of {task.total} trials"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[state]}"),
            console=console,
        ) as bar:
            tasks = {stage.name: bar.add_task(stage.name, total=stage.trials, state="") for stage in stages}
            best = sweeping.sweep(
                job,
                with_start(job, JobOptions(quick=quick, stand_in=stand_in), ModelRegistry(exports)),
                stages,
                storage,
                lambda state: bar.update(tasks[state.stage.name], completed=state.finished, state=_state(state)),
            )
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on with it")
        raise typer.Exit(130) from None
    except (JobError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    path = out or Path(".vitrine/sweeps", f"{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(best.params), indent=1) + "\n", encoding="utf-8")
    for param, value in best.params.items():
        console.print(f"{param}: {value:.4g} (the job's own: {getattr(job.recipe, param):.4g})", highlight=False)
    console.print(
        f"{best.measure} {best.value:.4f} on held-out data; of {best.finished} fine trials {best.pruned} pruned"
    )
    console.print(f"[green]vitrine train {name} --params {path}", soft_wrap=True)


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(help="Jobs and studies; all without.", show_default=False)
    ] = None,
    quick: Quick = False,
    again: Annotated[bool, typer.Option(help="Run also what is up to date.")] = False,
    run: Annotated[bool, typer.Option(help="--no-run only writes the page from what there is.")] = True,
    docs: Annotated[Path | None, typer.Option(help="Where the page goes; docs/reproduction without it.")] = None,
    exports: Annotated[Path | None, typer.Option(help="Where versions are published; exports without it.")] = None,
    work: Annotated[Path, typer.Option(help="Unfinished runs, studies and logs.")] = Path(".vitrine"),
) -> None:
    """Run every job and study that is not up to date, and put the figures beside the courses'.

    With --quick everything, page and versions, goes into a folder of its own under --work.
    """
    from training.reproduction import page, runner
    from training.reproduction.results import Results

    apart = work / "quick" if quick else None
    folders = runner.Folders(
        docs=docs or (apart / "reproduction" if apart else Path("docs/reproduction")),
        exports=exports or (apart / "exports" if apart else Path("exports")),
        work=apart or work,
    )
    quiet_tensorflow()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        chosen = runner.check_names(names or [])
        try:
            if run:
                runner.reproduce(chosen, folders, quick=quick, again=again, say=say)
        finally:  # also of an interrupted reproduction
            results = Results.read(folders.docs)
            runner.adopt(results, folders)
            written = page.write(folders.docs, results)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on with it")
        raise typer.Exit(130) from None
    except (JobError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    for path in written:
        console.print(str(path), soft_wrap=True)
    failed = [name for name in chosen if name in results.results and results.results[name].status == "failed"]
    if failed:
        raise fail(f"failed: {', '.join(failed)}; the page and {folders.work / 'logs'} say why")


def _state(state: "SweepState") -> str:
    params = " ".join(f"{name} {value:.3g}" for name, value in state.params.items())
    return f"epoch {state.epoch}, {params}" + (f"; best {state.best:.4f}" if state.best is not None else "")
