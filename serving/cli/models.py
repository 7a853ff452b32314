"""The commands of ``vitrine`` that need no TensorFlow: what there is, which version is live, and asking for answers."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from serving.artifacts import rollout
from serving.artifacts.model_card import ModelCard, ModelCardError
from serving.artifacts.models_config import ConfigError
from serving.artifacts.registry import PREVIOUS, STABLE, ModelRegistry, RegistryError
from serving.artifacts.routing_file import RoutingEntry, RoutingError
from serving.cli.keys import app as keys_app
from serving.cli.terminal import console, fail
from serving.client import Client, VitrineError
from serving.inputs import histories

if TYPE_CHECKING:
    from serving.artifacts.signing import Signer

app = typer.Typer(
    help="Small Keras models from training job to HTTP answer.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(keys_app, name="keys")

Exports = Annotated[
    str, typer.Option(envvar="VITRINE_EXPORTS", help="The folder of all models, or s3://… or gs://… with the same.")
]
SigningKey = Annotated[
    Path | None, typer.Option(envvar="VITRINE_SIGNING_KEY", help="Ed25519 private key (PEM) to sign the version with.")
]
Url = Annotated[str, typer.Option(envvar="VITRINE_URL", help="Where the gateway answers.")]
_MEASURES = ("test_accuracy", "skill", "test_mae")
_BAR = 24


@app.command()
def models(exports: Exports = "exports") -> None:
    """List every model, its versions, labels, measure and notes."""
    table = Table("model", "version", "labels", "made", "measure", "data")
    notes: list[str] = []
    try:
        store = ModelRegistry(exports)
        for model in store.models():
            for number in reversed(store.versions(model)):
                table.add_row(
                    model, str(number), _labels(store, model, number), *_described(store, model, number, notes)
                )
    except (ConfigError, RegistryError, OSError) as error:
        raise fail(error) from None
    if not table.row_count:
        console.print(f"There is no model in {exports}; vitrine train --list prints what can be trained.")
        return
    console.print(table)
    for note in notes:
        console.print(note, style="yellow")


def _labels(store: ModelRegistry, model: str, number: int) -> str:
    names = [label for label, target in store.labels(model).items() if target == number]
    if STABLE not in names and number == store.live(model):
        names.append("live")
    return ", ".join(sorted(names, reverse=True))


def _described(store: ModelRegistry, model: str, number: int, notes: list[str]) -> tuple[str, str, str]:
    """When the version was made, its measure and its data; what a user must know is added to the notes."""
    try:
        card: ModelCard = store.card(model, number)
    except ModelCardError as error:
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
    exports: Exports = "exports",
) -> None:
    """Check a version's files and point a label (stable: the live version) at it.

    Its time as canary or shadow ends.
    """
    try:
        moved = rollout.promote(ModelRegistry(exports), model, version, label)
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    came_from = f" (was {moved.before})" if moved.before not in (None, version) else ""
    ended = "; its time as canary or shadow has ended" if moved.ended is not None else ""
    console.print(f"{model}: {label} is version {version}{came_from}{ended}")


@app.command()
def sign(
    model: str,
    version: int,
    key: Annotated[Path, typer.Option(envvar="VITRINE_SIGNING_KEY", help="Ed25519 private key (PEM).")],
    exports: Exports = "exports",
) -> None:
    """Sign a version's manifest; model server and sync check it where they are given the public key."""
    try:
        ModelRegistry(exports).sign(model, version, signer(key))
    except (RegistryError, OSError) as error:
        raise fail(error) from None
    console.print(f"{model}: version {version} is signed")


def signer(key: Path) -> "Signer":
    """What signs with that key; says what is wrong with it and ends."""
    from serving.artifacts.signing import KeyFileError, Signer

    try:
        return Signer(key)
    except KeyFileError as error:
        raise fail(error) from None


@app.command()
def rollback(model: str, exports: Exports = "exports") -> None:
    """End the canary; where there is none, make the version that was live before live again."""
    try:
        moved = rollout.rollback(ModelRegistry(exports), model)
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    if moved.version == moved.before:
        console.print(f"{model}: the canary has ended; version {moved.version} answers all")
    else:
        console.print(f"{model}: {STABLE} is version {moved.version} (was {moved.before}; {PREVIOUS} now names it)")


@app.command()
def canary(
    model: str,
    version: Annotated[int | None, typer.Argument(help="The version to try.", show_default=False)] = None,
    percent: Annotated[float | None, typer.Argument(help="Of the requests, 0 to 100.", show_default=False)] = None,
    sticky: Annotated[
        str | None, typer.Option(help="Keep callers with a version: key, header:NAME or cookie:NAME.")
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Send it copies instead; answers are compared.")] = False,
    off: Annotated[bool, typer.Option("--off", help="End the canary, or with --shadow the shadow.")] = False,
    exports: Exports = "exports",
) -> None:
    """Have another version answer a share of the requests, or see a copy of them; alone: say how it stands."""
    what = rollout.SHADOW if shadow else rollout.CANARY
    try:
        store = ModelRegistry(exports)
        if off:
            rollout.off(store, model, what)
        elif version is not None and percent is not None:
            if not shadow:
                rollout.canary(store, model, version, percent, sticky)
            elif sticky is None:
                rollout.shadow(store, model, version, percent)
            else:
                raise fail("a shadow is drawn request by request: --sticky is for canaries")
        elif version is not None:
            raise fail(f"what percentage of the requests? vitrine canary {model} {version} PERCENT")
        live, entry = store.live(model), store.routing().get(model, RoutingEntry())
    except (ConfigError, RoutingError, RegistryError, OSError) as error:
        raise fail(error) from None
    if live is None:
        raise fail(f"there is no model {model}; there are: {', '.join(store.models()) or 'none'}")
    console.print(f"{model}: version {live if entry.live == STABLE else entry.live} is live")
    if entry.canary is not None:
        by = f", the same callers by {entry.canary.sticky}" if entry.canary.sticky else ""
        console.print(f"  canary: version {entry.canary.version} answers {entry.canary.percent:g} %{by}")
    if entry.shadow is not None:
        console.print(f"  shadow: version {entry.shadow.version} sees a copy of {entry.shadow.percent:g} %")


@app.command()
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, BMP or GIF files.")],
    model: Annotated[str, typer.Option(help="An image model.")] = "fashion_cnn",
    polarity: Annotated[str, typer.Option(help="auto, light_on_dark or dark_on_light.")] = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Ask the gateway what is in pictures."""
    with _client(url) as client:
        answer = client.predict(model, [_read(path) for path in pictures], polarity=_chosen(polarity))
    console.print(f"{answer.model}, version {answer.version}", style="dim")
    for path, prediction in zip(pictures, answer.predictions, strict=True):
        console.print(Text.assemble(f"{path}: ", (prediction.label, "bold")), soft_wrap=True)
        likely = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
        for label, probability in likely[:3]:
            console.print(f"  {'█' * round(_BAR * probability):<{_BAR}} {probability:6.1%} {label}")


@app.command()
def embed(
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, BMP or GIF files.")],
    model: Annotated[str, typer.Option(help="An image model with embeddings.")] = "fashion_embedding",
    polarity: Annotated[str, typer.Option(help="auto, light_on_dark or dark_on_light.")] = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Ask the gateway for the embeddings of pictures: a line each, the path and the values."""
    with _client(url) as client:
        answer = client.embed(model, [_read(path) for path in pictures], polarity=_chosen(polarity))
    for path, vector in zip(pictures, answer.vectors.tolist(), strict=True):
        print(path, *(f"{value:.7g}" for value in vector), sep="\t")


@app.command()
def forecast(
    model: Annotated[str, typer.Argument(help="A series model.")] = "sine_rnn",
    history: Annotated[str, typer.Option(help="Values with commas, oldest first; - reads one from each line.")] = "-",
    horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 10,
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Ask the gateway how a series goes on."""
    try:
        values = histories.of_lines(sys.stdin.buffer.read()) if history == "-" else histories.of_text(history)
    except ValueError as error:
        raise fail(error) from None
    with _client(url) as client:
        answer = client.forecast(model, values, horizon=horizon)
    table = Table("step", "mean", "lower", "upper", title=f"{answer.model}, version {answer.version}")
    made = answer.forecasts[0]
    nothing = [None] * horizon
    for step, row in enumerate(zip(made.mean, made.lower or nothing, made.upper or nothing, strict=True), 1):
        table.add_row(str(step), *("" if value is None else f"{value:.4g}" for value in row))
    console.print(table)
    for note in answer.notes:
        console.print(note, style="yellow")


@contextlib.contextmanager
def _client(url: str) -> Iterator[Client]:
    """The gateway's client, with the key in VITRINE_KEY.

    An error ends the command with the gateway's sentence.

    A first request without retries ends the command at once if the gateway is down.
    """
    key = os.environ.get("VITRINE_KEY")
    try:
        with Client(url, key, timeout=5, retry=False) as first:
            _check(first)
        with Client(url, key) as client:
            yield client
    except VitrineError as error:
        raise fail(error) from None


def _check(client: Client) -> None:
    try:
        client.models()
    except VitrineError as error:
        if error.code == "unreachable":
            raise fail(f"{error}; is the gateway up? make up starts it") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(error) from None


def _chosen(polarity: str) -> str | None:
    return None if polarity == "auto" else polarity
