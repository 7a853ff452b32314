"""Options of the commands that read a series from a CSV file."""

from pathlib import Path
from typing import Annotated

import typer

from serving.inputs.series_csv.period import PERIODS

Csv = Annotated[Path | None, typer.Option(help="File of a series: forecaster, stock_forecaster, stock_rnn.")]
Column = Annotated[str | None, typer.Option(help="Column of --csv to forecast.")]
TimeColumn = Annotated[str | None, typer.Option(help="Column of times in --csv; none: the rows are in order of time.")]
PeriodName = Annotated[str | None, typer.Option(help=f"Distance of the rows in --csv: {', '.join(PERIODS)}.")]
Season = Annotated[int | None, typer.Option(help="Steps of a season, for the seasonal naive forecast.")]
Unit = Annotated[str | None, typer.Option(help="Unit of the values in --csv, such as EUR.")]
DayFirst = Annotated[
    bool | None, typer.Option("--day-first/--month-first", help="Order of dates such as 01/02/2024 in --csv.")
]
Decimal = Annotated[str | None, typer.Option(help="Decimal separator in --csv: point or comma.")]
Splits = Annotated[str | None, typer.Option(help="Jumps in --csv that look like share splits: adjust or keep.")]
DropMissing = Annotated[
    bool, typer.Option("--drop-missing", help="Accept any number of rows in --csv without a value.")
]
