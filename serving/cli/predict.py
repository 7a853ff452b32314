"""Commands that call the gateway: ``predict``, ``embed`` and ``forecast``."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from serving.cli.options import Url
from serving.cli.terminal import console, fail
from serving.client import Client, VitrineError
from serving.inputs import histories

_BAR = 24  # characters of a full bar

Pictures = Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, BMP or GIF files.")]
Polarity = Annotated[str, typer.Option(help="auto, light_on_dark or dark_on_light.")]


def predict(
    pictures: Pictures,
    model: Annotated[str, typer.Option(help="An image model.")] = "fashion_cnn",
    polarity: Polarity = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Classify pictures."""
    with _client(url) as client:
        answer = client.predict(model, [_read(path) for path in pictures], polarity=_chosen(polarity))
    console.print(f"{answer.model}, version {answer.version}", style="dim")
    for path, prediction in zip(pictures, answer.predictions, strict=True):
        console.print(Text.assemble(f"{path}: ", (prediction.label, "bold")), soft_wrap=True)
        likely = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
        for label, probability in likely[:3]:
            console.print(f"  {'█' * round(_BAR * probability):<{_BAR}} {probability:6.1%} {label}")


def embed(
    pictures: Pictures,
    model: Annotated[str, typer.Option(help="An image model with embeddings.")] = "fashion_embedding",
    polarity: Polarity = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Print the embeddings of pictures: one line each, values separated by tabs."""
    with _client(url) as client:
        answer = client.embed(model, [_read(path) for path in pictures], polarity=_chosen(polarity))
    for path, vector in zip(pictures, answer.vectors.tolist(), strict=True):
        print(path, *(f"{value:.7g}" for value in vector), sep="\t")


def forecast(
    model: Annotated[str, typer.Argument(help="A series model.")] = "sine_rnn",
    history: Annotated[
        str, typer.Option(help="Values separated by commas, oldest first; - reads one value a line from stdin.")
    ] = "-",
    horizon: Annotated[int, typer.Option(help="Number of steps to forecast.")] = 10,
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Forecast the next values of a series."""
    try:
        values = histories.of_lines(sys.stdin.buffer.read()) if history == "-" else histories.of_text(history)
    except ValueError as error:
        raise fail(error) from None
    with _client(url) as client:
        answer = client.forecast(model, values, horizon=horizon)
    table = Table("step", "mean", "lower", "upper", title=f"{answer.model}, version {answer.version}")
    first = answer.forecasts[0]
    missing = [None] * horizon
    for step, row in enumerate(zip(first.mean, first.lower or missing, first.upper or missing, strict=True), 1):
        table.add_row(str(step), *("" if value is None else f"{value:.4g}" for value in row))
    console.print(table)
    for note in answer.notes:
        console.print(note, style="yellow")


@contextlib.contextmanager
def _client(url: str) -> Iterator[Client]:
    """Open a client with the key in VITRINE_KEY; its errors end the command.

    A first request without retries fails at once if the gateway is down.
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
            raise fail(f"{error}; start the gateway with: vitrine up") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(error) from None


def _chosen(polarity: str) -> str | None:
    return None if polarity == "auto" else polarity
