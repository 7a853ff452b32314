"""``vitrine models``: the versions in the model registry."""

from pathlib import Path

from rich.table import Column, Table

from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError
from serving.cli.options import Exports, exports_or_default
from serving.cli.terminal import console, fail

#: Main metrics; the first that the card has is shown.
_METRICS = ("test_accuracy", "skill", "test_mae")


def models(exports: Exports = None) -> None:
    """List every model with its versions, labels, main metric and notes."""
    table = Table(Column("model", no_wrap=True), "version", "labels", Column("created", no_wrap=True), "metric", "data")
    notes: list[str] = []
    try:
        folder = exports_or_default(exports)
        registry = ModelRegistry(folder)
        for model in registry.models():
            for number in reversed(registry.versions(model)):
                cells = _describe(registry, model, number, notes)
                table.add_row(model, str(number), _labels(registry, model, number), *cells)
    except (ConfigError, RegistryError, OSError) as error:
        raise fail(error) from None
    if not table.row_count and exports and "://" not in exports and not Path(exports).is_dir():
        raise fail(f"--exports is {exports}, which is not a folder; name the folder that holds all models")
    if not table.row_count:
        console.print(f"{folder} has no models; vitrine train --list prints the jobs that train one.")
        return
    console.print(table)
    for note in notes:
        console.print(note, style="yellow")


def _labels(registry: ModelRegistry, model: str, number: int) -> str:
    names = [label for label, target in registry.labels(model).items() if target == number]
    if STABLE not in names and number == registry.live(model):
        names.append("live")
    return ", ".join(sorted(names, reverse=True))


def _describe(registry: ModelRegistry, model: str, number: int, notes: list[str]) -> tuple[str, str, str]:
    """Return the version's date, main metric and data; append its notes to ``notes``."""
    try:
        card = registry.card(model, number)
    except ModelCardError as error:
        notes.append(f"{model} {number}: {error}; only its signatures are used")
        return "", "", ""
    notes += [f"{model} {number}: {note}" for note in card.notes]
    name = next((name for name in _METRICS if name in card.metrics), None)
    metric = f"{name} {card.metrics[name]:.4g}" if name else ""
    return f"{card.created:%Y-%m-%d}", metric, card.data.stand_in or card.data.name
