"""The commands of ``vitrine`` that need no TensorFlow: what there is, which version is live, and asking for answers."""

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from serving.card import Card, CardError
from serving.models_config import ConfigError
from serving.store import PREVIOUS, STABLE, Store, StoreError

app = typer.Typer(
    help="Small Keras models from training job to HTTP answer.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console(highlight=False)

Exports = Annotated[Path, typer.Option(envvar="VITRINE_EXPORTS", help="The folder of all models.")]
Url = Annotated[str, typer.Option(envvar="VITRINE_URL", help="Where the gateway answers.")]
_MEASURES = ("test_accuracy", "skill", "test_mae")
_BAR = 24


def fail(error: Exception | str) -> typer.Exit:
    """Say what was wrong, in red, and end with 1."""
    console.print(str(error), style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)


@app.command()
def models(exports: Exports = Path("exports")) -> None:
    """List every model, its versions, labels, measure and notes."""
    store = Store(exports)
    table = Table("model", "version", "labels", "made", "measure", "data")
    notes: list[str] = []
    try:
        for model in store.models():
            for number in reversed(store.versions(model)):
                table.add_row(
                    model, str(number), _labels(store, model, number), *_described(store, model, number, notes)
                )
    except (ConfigError, StoreError) as error:
        raise fail(error) from None
    if not table.row_count:
        console.print(f"There is no model in {exports}; vitrine train --list prints what can be trained.")
        return
    console.print(table)
    for note in notes:
        console.print(note, style="yellow", markup=False)


def _labels(store: Store, model: str, number: int) -> str:
    names = [label for label, target in store.labels(model).items() if target == number]
    if STABLE not in names and number == store.live(model):
        names.append("live")
    return ", ".join(sorted(names, reverse=True))


def _described(store: Store, model: str, number: int, notes: list[str]) -> tuple[str, str, str]:
    """When the version was made, its measure and its data; what a user must know is added to the notes."""
    try:
        card: Card = store.card(model, number)
    except CardError as error:
        notes.append(f"{model} {number}: {error}; it is served by its signatures alone")
        return "", "", ""
    notes += [f"{model} {number}: {note}" for note in card.notes]
    name = next((name for name in _MEASURES if name in card.metrics), None)
    measure = f"{name} {card.metrics[name]:.4g}" if name else ""
    return f"{card.created:%Y-%m-%d}", measure, card.data.stand_in or card.data.name


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
    came_from = f" (was {before})" if before not in (None, version) else ""
    console.print(f"{model}: {label} is version {version}{came_from}")


@app.command()
def rollback(model: str, exports: Exports = Path("exports")) -> None:
    """Make the version that was live before live again."""
    try:
        before, now = Store(exports).rollback(model)
    except (ConfigError, StoreError) as error:
        raise fail(error) from None
    console.print(f"{model}: {STABLE} is version {now} (was {before}; {PREVIOUS} now names it)")


@app.command()
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, BMP or GIF files.")],
    model: Annotated[str, typer.Option(help="An image model.")] = "fashion_cnn",
    polarity: Annotated[str, typer.Option(help="auto, light_on_dark or dark_on_light.")] = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Ask the gateway what is in pictures."""
    try:
        files = [("image", (path.name, path.read_bytes())) for path in pictures]
    except OSError as error:
        raise fail(error) from None
    chosen = {} if polarity == "auto" else {"polarity": polarity}
    answer = _post(f"{url}/v1/models/{model}:predict", params=chosen, files=files)
    console.print(f"{answer['model']}, version {answer['version']}", style="dim")
    for path, prediction in zip(pictures, answer["predictions"], strict=True):
        console.print(f"{path}: [bold]{prediction['label']}[/]")
        likely = sorted(prediction["probabilities"].items(), key=lambda pair: -pair[1])
        for label, probability in likely[:3]:
            console.print(f"  {'█' * round(_BAR * probability):<{_BAR}} {probability:6.1%} {label}")


@app.command()
def forecast(
    model: Annotated[str, typer.Argument(help="A series model.")] = "sine_rnn",
    history: Annotated[str, typer.Option(help="Values with commas, oldest first; - reads them as lines.")] = "-",
    horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 10,
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Ask the gateway how a series goes on."""
    text = sys.stdin.read() if history == "-" else history
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise fail(f"the history must be numbers: {error}") from None
    if not all(map(math.isfinite, values)):
        raise fail("the history must be finite numbers; nan or inf is in it")
    answer = _post(f"{url}/v1/models/{model}:forecast", json={"history": values, "horizon": horizon})
    table = Table("step", "mean", "lower", "upper", title=f"{answer['model']}, version {answer['version']}")
    made = answer["forecasts"][0]
    for step, row in enumerate(zip(made["mean"], made["lower"], made["upper"], strict=True), 1):
        table.add_row(str(step), *(f"{value:.4g}" for value in row))
    console.print(table)
    for note in answer.get("notes", []):
        console.print(note, style="yellow", markup=False)


def _post(url: str, **content: Any) -> dict[str, Any]:
    """The gateway's answer; its own sentence where it refuses."""
    try:
        response = httpx.post(url, timeout=30, **content)
    except httpx.HTTPError as error:
        raise fail(f"{url} cannot be reached ({error}); is the gateway up? make up starts it") from None
    if response.is_error:
        try:
            raise fail(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            raise fail(f"{url} answered {response.status_code}: {response.text[:500]}") from None
    answer: dict[str, Any] = response.json()
    return answer
