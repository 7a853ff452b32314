"""The commands of ``vitrine`` that need no TensorFlow: what there is, which version is live, and asking for answers."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.card import CardError
from serving.models_config import ConfigError
from serving.store import PREVIOUS, STABLE, Store, StoreError

app = typer.Typer(
    help="Small Keras models from training job to HTTP answer.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console()

Exports = Annotated[Path, typer.Option(envvar="VITRINE_EXPORTS", help="The folder of all models.")]


def fail(error: Exception) -> typer.Exit:
    """Say what was wrong, in red, and end with 1."""
    console.print(f"[red]{error}", soft_wrap=True)
    return typer.Exit(1)


@app.command()
def models(exports: Exports = Path("exports")) -> None:
    """List every model, its versions, labels, measure and notes."""
    store = Store(exports)
    table = Table("model", "version", "labels", "made", "data", "measure", "notes")
    try:
        for model in store.models():
            labels = store.labels(model)
            live = store.live(model)
            for number in reversed(store.versions(model)):
                names = [label for label, target in labels.items() if target == number]
                if number == live and STABLE not in names:
                    names.append("live")
                table.add_row(
                    model, str(number), ", ".join(sorted(names, reverse=True)), *_described(store, model, number)
                )
                model = ""
    except (ConfigError, StoreError) as error:
        raise fail(error) from None
    if not table.row_count:
        console.print(f"There is no model in {exports}; vitrine train --list prints what can be trained.")
        return
    console.print(table)


def _described(store: Store, model: str, number: int) -> tuple[str, str, str, str]:
    try:
        card = store.card(model, number)
    except CardError:
        return "", "", "", "no card: served by its signatures alone"
    name = next(iter(card.metrics.keys() & {"test_accuracy", "test_mae"}), None)
    measure = f"{name} {card.metrics[name]:.4g}" if name else ""
    return f"{card.created:%Y-%m-%d %H:%M}", card.data.stand_in or card.data.name, measure, " ".join(card.notes)


@app.command()
def promote(
    model: str,
    version: int,
    label: Annotated[str, typer.Option(help="The label to move.")] = STABLE,
    exports: Exports = Path("exports"),
) -> None:
    """Point a label (stable: the live version) at a version."""
    try:
        before = Store(exports).promote(model, version, label)
    except (ConfigError, StoreError) as error:
        raise fail(error) from None
    came_from = f" (was version {before})" if before not in (None, version) else ""
    console.print(f"{model}: {label} is version {version}{came_from}")


@app.command()
def rollback(model: str, exports: Exports = Path("exports")) -> None:
    """Make the version that was live before live again."""
    try:
        before, now = Store(exports).rollback(model)
    except (ConfigError, StoreError) as error:
        raise fail(error) from None
    console.print(f"{model}: {STABLE} is version {now} (was {before}; {PREVIOUS} now names it)")
