"""Measure the job `forecaster` on five series against AutoETS, AutoTheta and the naive forecasts.

    python -m benchmarks.forecasting                  about two minutes of processor time
    python -m benchmarks.forecasting co2 elnino

Each series is written to a CSV file and trained on by ``vitrine train forecaster`` in a process of its own. The table
has the figures of the model card, which are those of the test part, the last 15 % of the values: forecasts from every
origin, as many steps as the version forecasts. All hurdles forecast from the same origins. AAPL's prices are in
``stocks/aapl.csv`` of the folder in VITRINE_DATA; the other data sets are part of statsmodels and vega_datasets.

The exit code is 1 if an error is more than 1.05 times that of the best hurdle, the coverage is more than 4 points from
its nominal level, or fewer than 500 forecasts were measured.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from serving.artifacts import model_card

LARGEST_RATIO, LARGEST_MISS, FEWEST_FORECASTS = 1.05, 0.04, 500

console = Console(width=160)


def aapl() -> Iterable[tuple[object, object]]:
    """Apple's adjusted daily prices, 2015 to 2017."""
    with Path(os.environ["VITRINE_DATA"], "stocks", "aapl.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield row["Date"], row["AAPL.Adjusted"]


def co2() -> Iterable[tuple[object, object]]:
    """Weekly carbon dioxide on Mauna Loa, 1958 to 2001, with gaps."""
    from statsmodels.datasets import co2 as data

    for day, value in data.load_pandas().data["co2"].items():
        yield f"{day:%Y-%m-%d}", "" if np.isnan(value) else value


def elnino() -> Iterable[tuple[object, object]]:
    """Monthly temperature of the Pacific, 1950 to 2010; the data set has one row for each year."""
    from statsmodels.datasets import elnino as data

    for row in data.load_pandas().data.to_numpy():
        for month, value in enumerate(row[1:], 1):
            yield f"{row[0]:.0f}-{month:02}", value


def seattle() -> Iterable[tuple[object, object]]:
    """Highest temperature of the day in Seattle, 2012 to 2015."""
    from vega_datasets import data

    for day, value in data.seattle_weather().set_index("date")["temp_max"].items():
        yield f"{day:%Y-%m-%d}", value


def weekly() -> Iterable[tuple[object, object]]:
    """Generated: a random walk with a weekly season and noise, daily."""
    rng = np.random.default_rng(0)
    level = 100 + np.cumsum(rng.normal(0, 0.5, 1000))
    season = 20 * np.array([1, 1.1, 1.05, 1.0, 1.3, 1.8, 0.6])
    for i, value in enumerate(level + np.resize(season, 1000) + rng.normal(0, 3, 1000)):
        yield date(2021, 1, 1) + timedelta(days=i), value


SERIES = {one.__name__: one for one in (aapl, co2, elnino, seattle, weekly)}


def main() -> int:
    """Train on the chosen series, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="SERIES", help=f"of {', '.join(SERIES)}; all without it")
    names = parser.parse_args().names or list(SERIES)
    if wrong := [name for name in names if name not in SERIES]:
        parser.error(f"there is no series {wrong[0]}; there are: {', '.join(SERIES)}")
    table = Table(
        "series", "forecaster", "forecasts", "error", "best hurdle", "its error", "ratio", "covered", "nominal"
    )
    table.add_column("CPU s")
    table.add_column("seconds")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            row, passed = measured(name, Path(folder))
            table.add_row(*row)
            failed += [] if passed else [name]
    console.print(table)
    if failed:
        console.print(f"outside the limits: {', '.join(failed)}")
    return int(bool(failed))


def measured(name: str, folder: Path) -> tuple[list[str], bool]:
    """Train on one series; return its row of the table, and whether it is within the limits."""
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("date", "value"), *SERIES[name]()])
    command = [sys.executable, "-m", "training", "forecaster", "--csv", str(path), "--as", name, "--force"]
    begun, before = time.monotonic(), processor_seconds()
    subprocess.run([*command, "--exports", str(folder / "exports"), "--runs", str(folder / "runs")], check=True)
    seconds, used = time.monotonic() - begun, processor_seconds() - before
    card = model_card.read(folder / "exports" / name / "1")
    assert card.series and card.series.level
    best = min(card.hurdles, key=lambda hurdle: card.hurdles[hurdle])
    error, ratio = card.metrics["horizon_mae"], card.metrics["hurdle_ratio"]
    covered, forecasts = card.metrics["coverage"], card.data.rows["test"] * card.series.max_horizon
    winner = next(key for key in card.metrics if key.startswith("backtest_"))
    row = [
        *(name, winner.removeprefix("backtest_").removesuffix("_mae"), f"{forecasts:,}", f"{error:.4g}", best),
        *(f"{card.hurdles[best]:.4g}", f"{ratio:.3f}", f"{covered:.3f}", f"{card.series.level:.2f}"),
        *(f"{used:.0f}", f"{seconds:.0f}"),
    ]
    near = abs(covered - card.series.level) <= LARGEST_MISS
    return row, ratio <= LARGEST_RATIO and near and forecasts >= FEWEST_FORECASTS


def processor_seconds() -> float:
    """Return the processor time of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
