"""The ``vitrine`` command: training here, everything that needs no TensorFlow in :mod:`serving.cli.models`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError
from serving.cli import up as together
from serving.cli.models import Exports, SigningKey, app, signer
from serving.cli.terminal import fail
from serving.scoring import cli as scoring  # noqa: F401  adds its command
from training.cli import kubernetes as cluster  # noqa: F401  add their commands
from training.cli.terminal import console, exit_on_sigterm, print_names, quiet_tensorflow, read_params
from training.core.catalogue import JOBS, SHOWN


@app.command()
def train(
    name: Annotated[str | None, typer.Argument(help="The job; --list prints them all.", show_default=False)] = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="Print every job.")] = False,
    quick: Annotated[bool, typer.Option(help="Seconds instead of minutes; the card says so.")] = False,
    stand_in: Annotated[bool, typer.Option(help="Synthetic data where the real data cannot be had.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Daily prices, for stock_rnn.")] = None,
    column: Annotated[str | None, typer.Option(help="The column of --csv to forecast.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the folders x and o, for xo_….")] = None,
    head: Annotated[str | None, typer.Option(help="Of xo_mobilenet: softmax (as the text asks) or sigmoid.")] = None,
    from_version: Annotated[int | None, typer.Option(help="Of fashion_cnn, to start mnist_transfer from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the course's seeds.")] = None,
    params: Annotated[Path | None, typer.Option(help="JSON file of recipe parameters, as sweep writes it.")] = None,
    model: Annotated[str | None, typer.Option("--as", help="Publish under this name.")] = None,
    force: Annotated[bool, typer.Option(help="Publish in spite of the gate; recorded on the card.")] = False,
    fresh: Annotated[bool, typer.Option(help="Forget an unfinished run instead of going on with it.")] = False,
    promote: Annotated[bool, typer.Option(help="Point --label at the new version.")] = True,
    label: Annotated[str, typer.Option(help="stable makes the new version live; canary leaves that to you.")] = STABLE,
    signing_key: SigningKey = None,
    exports: Exports = "exports",
    runs: Annotated[Path, typer.Option(help="Where unfinished runs lie.")] = Path(".vitrine/runs"),
) -> None:
    """Train a model, hold it against the live one, and publish it as a new version."""
    if list_jobs or name is None:
        print_names("job", JOBS)
        return
    quiet_tensorflow()
    exit_on_sigterm()
    from training.core.job import JobError, JobOptions, WorkerLost
    from training.export.check import CheckError

    try:
        store = ModelRegistry(exports, signer(signing_key) if signing_key else None)
        options = JobOptions(
            quick=quick,
            stand_in=stand_in,
            csv=csv,
            column=column,
            data_dir=data_dir,
            head=head,
            seed=seed,
            from_version=from_version,
            params=read_params(params) if params else {},
        )
        from training.core.catalogue import find

        with console.status("starting TensorFlow"):
            job = find(name)
            from training.core.pipeline import run
            from training.core.worker_group import worker_group as team_of

            team = team_of()
            exit_on_sigterm()  # once more: a team's server takes the signal and does nothing with it
        epochs = job.recipe_for(options).epochs
        with Progress(
            TextColumn("epoch {task.fields[epoch]} of {task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[figures]}"),
            console=console,
        ) as bar:
            task = bar.add_task("", total=100 * epochs, epoch=1, epochs=epochs, figures="", visible=False)
            outcome = run(
                job,
                options,
                store,
                runs,
                model_name=model,
                force=force,
                fresh=fresh,
                label=label if promote else None,
                team=team,
                say=bar.console.print,
                progress=lambda epoch, percent, figures: bar.update(
                    task,
                    completed=100 * epoch + percent,
                    epoch=epoch + 1,
                    figures=" ".join(f"{key} {value:.4f}" for key, value in figures.items()),
                    visible=True,
                ),
            )
        if team:
            team.leave()
    except WorkerLost as error:
        fail(error)
        raise typer.Exit(error.EXIT_CODE) from None
    except (JobError, CheckError, RegistryError, ModelCardError, ConfigError, OSError) as error:
        raise fail(error) from None
    if outcome is None:
        console.print("[green]done; worker 0 says what came out")
        return
    _print_outcome(model or name, outcome.metrics, job.printed, outcome.seconds)
    for reason in outcome.verdict.reasons:
        console.print(f"gate: {reason}", soft_wrap=True)
    if outcome.version is None or outcome.card is None:
        console.print("[red]The gate refused it: nothing was published. --force publishes all the same.")
        raise typer.Exit(2)
    if outcome.verdict.forced:
        console.print("[yellow]The gate refused it; published by force, and the card says so.")
    for note in outcome.card.notes:
        console.print(f"[yellow]note: {note}", soft_wrap=True)
    console.print(
        f"[green]published as version {outcome.version}"
        + (f", {'live' if label == STABLE else label}" if promote else "")
    )


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="Of the model server.")] = 8500,
    engine: Annotated[str, typer.Option(help="auto (ONNX where there is a twin) or tensorflow.")] = "auto",
    keys: Annotated[Path | None, typer.Option(envvar="VITRINE_KEYS", help="Of callers: vitrine keys.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve other machines without keys.")] = False,
    train_missing: Annotated[bool, typer.Option(help="First train what the page shows and has no version yet.")] = True,
    exports: Exports = "exports",
    logs: Annotated[Path, typer.Option(help="Where both programs' logs go.")] = Path(".vitrine/logs"),
) -> None:
    """Train what is missing, start model server and gateway, and say where to look."""
    if "://" in exports:
        raise fail(f"programs read a folder; python -m serving.artifacts.sync {exports} FOLDER brings them to one")
    if train_missing:
        missing = [name for name in SHOWN if not ModelRegistry(exports).versions(name)]
        for name in missing:
            console.print(f"{name} has no version yet: training it")
            subprocess.run([sys.executable, "-m", "training", name, "--exports", exports], check=False)
    if not ModelRegistry(exports).models():
        raise fail(f"there is no model in {exports}, and none could be trained")
    door = [*([f"--keys={keys}"] if keys else ()), *(["--insecure"] if insecure else ())]
    addresses = together.Addresses(host, port, grpc_port, tls=bool(os.environ.get("VITRINE_TLS_CERT")))
    try:
        together.run(Path(exports), addresses, logs, lambda line: print(line, flush=True), engine, door)
    except together.UpError as error:
        raise fail(error) from None


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure the gateway beside other servers: python -m benchmarks.gateway, which takes all options."""
    if not Path("benchmarks/gateway").is_dir():
        raise fail("there is no folder benchmarks here: vitrine bench runs in the repository's root")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gateway", *context.args], check=False)
    raise typer.Exit(done.returncode)


def _print_outcome(name: str, metrics: dict[str, float], printed: dict[str, float], seconds: float) -> None:
    from training.reproduction.rows import number

    table = Table("figure", "ours", "printed in the course", title=f"{name}, {seconds:.0f} s of fitting")
    for column in table.columns[1:]:
        column.justify = "right"
    for key, value in metrics.items():
        table.add_row(key, number(value), number(printed.get(key)))
    console.print(table)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
