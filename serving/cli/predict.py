"""Commands that call the gateway: ``predict``, ``embed`` and ``forecast``."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from serving.artifacts.model_card import ModelCard
from serving.cli.options import Url
from serving.cli.terminal import console, fail, print_whole
from serving.client import Client, Forecasts, VitrineError
from serving.inputs import calendar, histories
from serving.inputs.calendar import CalendarError, Frequency
from serving.inputs.series_csv import reader
from serving.inputs.series_csv.period import PERIODS
from serving.inputs.series_csv.reader import ReadOptions, Series

_BAR = 24  # characters of a full bar
_NEWEST = 60  # times of a file that must be regular

Pictures = Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, BMP or GIF files.")]
Polarity = Annotated[str, typer.Option(help="auto, light_on_dark or dark_on_light.")]


def predict(
    pictures: Pictures,
    model: Annotated[str, typer.Option(help="An image model.")] = "fashion_cnn",
    polarity: Polarity = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Classify pictures."""
    contents = [_read(path) for path in pictures]
    with _client(url) as client:
        answer = client.predict(model, contents, polarity=_chosen(polarity))
    console.print(f"{answer.model}, version {answer.version}", style="dim")
    for path, prediction in zip(pictures, answer.predictions, strict=True):
        console.print(Text.assemble(f"{path}: ", (prediction.label, "bold")), soft_wrap=True)
        likely = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
        for label, probability in likely[:3]:
            console.print(f"  {'█' * round(_BAR * probability):<{_BAR}} {probability:6.1%} {label}")
        if prediction.warning:
            console.print(f"  {prediction.warning}", style="yellow")


def embed(
    pictures: Pictures,
    model: Annotated[str, typer.Option(help="An image model with embeddings.")] = "fashion_embedding",
    polarity: Polarity = "auto",
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Print the embeddings of pictures: one line each, values separated by tabs."""
    contents = [_read(path) for path in pictures]
    with _client(url) as client:
        answer = client.embed(model, contents, polarity=_chosen(polarity))
    for path, vector in zip(pictures, answer.vectors.tolist(), strict=True):
        print(path, *(f"{value:.7g}" for value in vector), sep="\t")


def forecast(
    model: Annotated[str, typer.Argument(help="A series model.")] = "sine_rnn",
    history: Annotated[
        str, typer.Option(help="Values separated by commas, oldest first; - reads one value a line from stdin.")
    ] = "-",
    csv: Annotated[Path | None, typer.Option(help="CSV file with the history, read as vitrine train reads it.")] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of --csv; by default the one that the model was trained on.")
    ] = None,
    horizon: Annotated[int, typer.Option(help="Number of steps to forecast.")] = 10,
    start: Annotated[
        str | None, typer.Option(help="Time of the first value, ISO 8601, for dates of the steps.")
    ] = None,
    frequency: Annotated[
        str | None, typer.Option(help="Step of --start, such as day; by default the model's.", show_default=False)
    ] = None,
    quantile: Annotated[list[float] | None, typer.Option(help="Level between 0 and 1; repeat for several.")] = None,
    naive: Annotated[bool, typer.Option("--naive", help="Show the naive forecast, too.")] = False,
    url: Url = "http://127.0.0.1:8000",
) -> None:
    """Forecast the next values of a series."""
    values: Sequence[float] = []
    times: Sequence[str] = []
    try:
        if not csv:
            values = histories.of_lines(sys.stdin.buffer.read()) if history == "-" else histories.of_text(history)
        with _client(url) as client:
            if csv:
                values, times = _of_csv(csv, column, client.card(model), horizon)
            answer = client.forecast(
                model, values, horizon=horizon, start=start, frequency=frequency, quantiles=quantile, naive=naive
            )
    except ValueError as error:
        raise fail(error) from None
    print_whole(_table(answer, times))
    for note in filter(None, [answer.forecasts[0].warning, *answer.notes]):
        console.print(note, style="yellow")


def _table(answer: Forecasts, times: Sequence[str]) -> Table:
    """Return the first forecast as a table, with its times if they are known."""
    first = answer.forecasts[0]
    unit = "" if answer.unit == "1" else f", {answer.unit}"
    columns = {f"mean{unit}": first.mean, "lower": first.lower, "upper": first.upper}
    columns |= {f"{level:g}": values for level, values in first.quantiles.items()}
    if first.naive is not None:
        columns[f"naive, {first.naive_season} before" if (first.naive_season or 1) > 1 else "naive"] = first.naive
    times = first.timestamps or times
    table = Table(f"step ({answer.step})", *(["time"] if times else []), *columns)
    table.title = f"{answer.model}, version {answer.version}"
    decimals = max(0, 5 - math.floor(math.log10(max(map(abs, first.mean)) or 1)))  # six digits, never an exponent
    for step in range(len(first.mean)):
        cells = ["" if values is None else f"{values[step]:.{decimals}f}" for values in columns.values()]
        table.add_row(str(step + 1), *([times[step]] if times else []), *cells)
    return table


def _of_csv(path: Path, column: str | None, card: ModelCard, horizon: int) -> tuple[Sequence[float], Sequence[str]]:
    """Read a history, and the times of its forecast if its own are regular.

    The options and the column are those of the training, and the period must be the model's.

    Raises:
        ValueError: the file cannot be read, or its rows are further or less far apart than the model's steps.
    """
    trained = card.data.file
    options = ReadOptions(**trained.options) if trained else ReadOptions()  # type: ignore[arg-type]
    series = reader.read(path, replace(options, column=column or (trained.column if trained else None)))
    steps = {period.step for period in PERIODS.values()}
    found, wanted = series.period.step, card.series.step if card.series else ""
    if found != wanted and {found, wanted} <= steps and {found, wanted} != {"day", "business day"}:
        raise ValueError(f"{path} has rows of {series.period.duration}, but the model's step is one {wanted}")
    console.print(f"{path}: column {series.column}" + (f", up to {series.last}" if series.last else ""), style="dim")
    return list(series.values.tolist()), _times_after(series, horizon)


def _times_after(series: Series, horizon: int) -> Sequence[str]:
    """Return the times of a forecast; none if the file has none, or the newest are not one step apart."""
    frequency = Frequency.parse(series.period.step)
    if series.times is None or frequency is None or series.last is None:
        return []
    digits = {7: "M", 10: "D"}.get(len(series.last), "s")
    newest = [str(time.astype(f"datetime64[{digits}]")) for time in series.times[-_NEWEST:]]
    try:
        axis = calendar.from_timestamps(newest, frequency, True)
        return [axis.text(time) for time in axis.ahead(horizon)]
    except CalendarError:
        return []


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
            raise fail(f"{error}; start the gateway with: vitrine up, or name its address with --url") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(f"{path} cannot be read ({error.strerror}); a picture file is expected") from None


def _chosen(polarity: str) -> str | None:
    return None if polarity == "auto" else polarity
