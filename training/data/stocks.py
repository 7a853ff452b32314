"""Prices from the user's CSV file, or Google's daily ones of 2004 to 2008.

Google's prices, 2004-08-19 to 2008-10-14, are a sample data set of matplotlib.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from serving.artifacts.model_card import Data, SeriesFile, SeriesRecipe
from serving.inputs.series_csv import reader
from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.period import PERIODS, Period
from serving.inputs.series_csv.reader import ReadOptions, Series
from serving.inputs.series_csv.splits import adjust, find_splits
from training.core.array import Array
from training.core.errors import JobError
from training.core.job import CSV_OPTIONS, JobOptions
from training.data import sources

FEWEST = 240  #: Rows that a forecast of 30 steps needs: the test part, 15 % of them, must hold it.
FEWEST_OF_FORECASTER = 100  #: Rows that the job `forecaster` needs, whose longest horizon follows the number of rows.
_HORIZON = 30
_DECIMALS = {"point": ".", "comma": ","}


@dataclass(frozen=True)
class Prices:
    """Prices, or other values, in order of time, float64 [n], with their origin.

    Attributes:
        values: the values.
        name: name for the model card.
        source: file or data set.
        licence: licence of the data.
        period: step and season.
        unit: unit of a price; "1" if unknown.
        file: how the user's file was read; None for a data set.
        notes: warnings for the model card.
    """

    values: Array
    name: str
    source: str
    licence: str
    period: Period
    unit: str
    file: SeriesFile | None = None
    notes: tuple[str, ...] = field(default=())

    def recipe(self, window: int) -> SeriesRecipe:
        """Return the recipe of a model that reads ``window`` prices."""
        return SeriesRecipe(
            window=window,
            max_horizon=_HORIZON,
            step=self.period.step,
            unit=self.unit,
            season=self.period.season,
            level=0.9,
        )

    def data(self, rows: dict[str, int], *arrays: Array) -> Data:
        """Return the model card's description: rows by part, and the digest of the training arrays."""
        return Data(
            name=self.name,
            source=self.source,
            licence=self.licence,
            rows=rows,
            file=self.file,
            sha256=sources.digest(*arrays),
        )


def load(path: Path | None = None, column: str | None = None) -> Prices:
    """Load the prices of a CSV file, or matplotlib's GOOG without one; see :func:`from_options`."""
    return from_options(JobOptions(csv=path, column=column))


def from_options(options: JobOptions, *, above_zero: bool = False, fewest: int = FEWEST) -> Prices:
    """Load the prices of ``options.csv`` as the other options say, or matplotlib's GOOG without one.

    Args:
        options: the file, and how to read it.
        above_zero: refuse values that are not above 0.
        fewest: refuse a file with fewer rows.

    Raises:
        JobError: the file cannot be read as one series, is ambiguous, has too few rows, a value at or below 0 where
            none may be, or a jump as of a share split.
    """
    if options.csv is None:
        wrong = sorted(name for name in CSV_OPTIONS - {"csv"} if getattr(options, name) not in (None, False))
        if wrong:
            raise JobError(f"--{wrong[0].replace('_', '-')} needs --csv")
        return _goog()
    try:
        series = reader.read(options.csv, _read_options(options))
    except SeriesFileError as error:
        raise JobError(str(error)) from None
    if above_zero:
        _check_above_zero(series, options)
    return _prices(series, options, fewest)


def describe(prices: Prices) -> list[str]:
    """Return what a file was taken for, one phrase each, with the options that overrule it."""
    if prices.file is None:
        return []
    span = f", {prices.file.first} to {prices.file.last}" if prices.file.first else ""
    unit = "unknown (name it with --unit)" if prices.unit == "1" else prices.unit
    return [
        f"{prices.source}: {len(prices.values):,} values{span}",
        *prices.file.reading,
        f"period: {prices.period.duration}; season: {prices.period.season} steps; unit: {unit}",
    ]


def _read_options(options: JobOptions) -> ReadOptions:
    if options.decimal not in (None, *_DECIMALS):
        raise JobError(f"--decimal is {options.decimal!r}; point or comma is expected")
    if options.period not in (None, *PERIODS):
        raise JobError(f"--period is {options.period!r}; one of {', '.join(PERIODS)} is expected")
    if options.season is not None and options.season < 1:
        raise JobError(f"--season is {options.season}; a number of steps of at least 1 is expected")
    if options.splits not in (None, "adjust", "keep"):
        raise JobError(f"--splits is {options.splits!r}; adjust or keep is expected")
    chosen = {one.name: getattr(options, one.name) for one in fields(ReadOptions)}
    return ReadOptions(**{**chosen, "decimal": options.decimal and _DECIMALS[options.decimal]})


def _prices(series: Series, options: JobOptions, fewest: int) -> Prices:
    path, period = options.csv, series.period
    assert path is not None
    count = len(series.values)
    if count < fewest:
        raise JobError(f"{path} has {count} rows with a value; at least {fewest} are needed to train and to measure")
    if period.season > count // 2:
        raise JobError(f"{path} has {count} rows, less than two seasons of {period.season}; choose a shorter --season")
    values, notes = _without_splits(series, options)
    return Prices(
        values=values,
        name=f"{path.stem}, {series.column}",
        source=path.name,
        licence="the user's own",
        period=period,
        unit=series.unit or "1",
        file=SeriesFile(
            column=series.column,
            time_column=series.time_column,
            first=series.first,
            last=series.last,
            options=_read_options(options).given(),
            reading=(*series.notes, *notes),
        ),
        notes=notes,
    )


def _check_above_zero(series: Series, options: JobOptions) -> None:
    low = np.flatnonzero(series.values <= 0)
    if len(low):
        raise JobError(
            f"{options.csv}, line {series.lines[low[0]]}: {series.column} is {series.values[low[0]]:g}. "
            "A model of returns needs prices above 0; stock_rnn takes any values"
        )


def _without_splits(series: Series, options: JobOptions) -> tuple[Array, tuple[str, ...]]:
    """Return the values and a note, with jumps treated as the user wants.

    Raises:
        JobError: there are jumps, and the user has not chosen.
    """
    splits = find_splits(series.values) if (series.values > 0).all() else []  # only prices have splits
    if not splits:
        return series.values, ()
    first = splits[0]
    before, after = series.values[first.index - 1], series.values[first.index]
    line = series.lines[first.index]
    if options.splits is None:
        more = f", and {len(splits) - 1} more" if len(splits) > 1 else ""
        raise JobError(
            f"{options.csv}, line {line}: {series.column} jumps from {before:g} to {after:g}, as by a share split of "
            f"{first}{more}. Choose a column of adjusted prices with --column, --splits adjust, or --splits keep"
        )
    listed = ", ".join(f"{split} at line {series.lines[split.index]}" for split in splits[:5])
    if options.splits == "adjust":
        return adjust(series.values, splits), (f"Prices before share splits were adjusted: {listed}.",)
    return series.values, (f"Jumps as of share splits were kept: {listed}.",)


def _goog() -> Prices:
    from matplotlib import cbook

    prices: Array
    with cbook.get_sample_data("goog.npz") as file:  # type: ignore[union-attr]
        prices = file["price_data"]  # type: ignore[index]
    return Prices(
        values=prices["adj_close"].astype(np.float64),
        name="GOOG daily, 2004-08-19 to 2008-10-14",
        source="matplotlib's sample data, goog.npz",
        licence="as matplotlib (PSF-based)",
        period=PERIODS["business-daily"],
        unit="USD",
    )
