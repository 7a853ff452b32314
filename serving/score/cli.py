"""``vitrine score``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from serving.card import CardError
from serving.cli import Exports, app
from serving.model_server.errors import ServingError
from serving.models_config import ConfigError
from serving.store import Store, StoreError
from serving.terminal import console, fail


@app.command()
def score(
    inputs: Annotated[Path, typer.Argument(help="A folder of pictures, or a Parquet file.")],
    model: Annotated[str, typer.Option(help="Whose version answers.")] = "fashion_cnn",
    version: Annotated[int | None, typer.Option(help="Without it the one that is live.")] = None,
    out: Annotated[Path, typer.Option(help="Parquet: id, error, and the model's answers.")] = Path("results.parquet"),
    column: Annotated[str | None, typer.Option(help="Of the Parquet file, where several could be meant.")] = None,
    exports: Exports = "exports",
) -> None:
    """Run a model version over many inputs; a run that was interrupted goes on."""
    from serving.score import inputs as rows  # not at start: pyarrow takes its time
    from serving.score import parts
    from serving.score.model import Model

    try:
        store = Store(exports)
        number = store.live(model) if version is None else version
        if number is None:
            raise fail(f"there is no model {model}; there are: {', '.join(store.models()) or 'none'}")
        chosen = Model.of(store.directory(model, number))
        source = rows.find(inputs, chosen.card, column)
        out.parent.mkdir(parents=True, exist_ok=True)
        console.print(f"{model} version {number} over {source.rows:,} rows", style="dim")
        if not source.rows:
            raise fail(f"{inputs} has no rows")
        shown = (MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("left"))
        with Progress(*shown, console=console) as bar:
            task = bar.add_task("", total=source.rows)
            scored = parts.score(chosen, source, out, lambda done: bar.update(task, completed=done))
    except (CardError, ConfigError, StoreError, ServingError, rows.InputError, OSError) as error:
        raise fail(error) from None
    console.print(f"{scored.rows:,} rows in {out}, of which {scored.errors:,} could not be read (column error)")
