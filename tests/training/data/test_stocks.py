"""Prices from a CSV file: units, periods, splits, and errors of invalid files and options."""

from pathlib import Path

import pytest

from tests.serving.inputs.series_csv.files import DAYS, MONTHS, PRICES, plain, table
from training.core.errors import JobError
from training.core.job import JobOptions
from training.data import stocks
from training.data.stocks import Prices


def load(folder: Path, text: str, **options: object) -> Prices:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return stocks.from_options(JobOptions(csv=path, **options))  # type: ignore[arg-type]


def test_a_csv_is_read_by_its_closing_price(tmp_path: Path) -> None:
    prices = load(tmp_path, plain())
    assert prices.values.tolist() == PRICES
    assert (prices.name, prices.source, prices.unit) == ("mine, Close", "mine.csv", "1")
    recipe = prices.recipe(window=10)
    assert (recipe.step, recipe.season, recipe.window) == ("business day", 5, 10)
    assert prices.file and (prices.file.column, prices.file.time_column) == ("Close", "Date")
    assert (prices.file.first, prices.file.last) == ("2019-01-02", "2020-02-25")
    said = "; ".join(stocks.describe(prices))
    assert "300 values, 2019-01-02 to 2020-02-25" in said and "unit: unknown (name it with --unit)" in said


def test_a_column_can_be_named(tmp_path: Path) -> None:
    load(tmp_path, plain())
    assert set(stocks.load(tmp_path / "mine.csv", "Open").values) == {1.0}


def test_a_month_is_no_day(tmp_path: Path) -> None:
    prices = load(tmp_path, table("Date,Close (EUR)", lambda day, price: f"{day},{price}", MONTHS))
    assert (prices.recipe(10).step, prices.recipe(10).season, prices.recipe(10).unit) == ("month", 12, "EUR")


def test_options_overrule_the_file(tmp_path: Path) -> None:
    recipe = load(tmp_path, plain(), unit="points", season=20, period="daily").recipe(10)
    assert (recipe.step, recipe.season, recipe.unit) == ("day", 20, "points")


def test_the_default_is_real() -> None:
    prices = stocks.load()
    assert len(prices.values) == 1047
    assert prices.values[0] == pytest.approx(100.34)
    assert "GOOG" in prices.name and prices.recipe(10).unit == "USD"
    assert stocks.describe(prices) == []


@pytest.mark.parametrize(("before", "ratio"), [(4.0, "4:1"), (1.5, "1.5:1"), (0.1, "1:10")])
def test_a_split_is_asked_for(tmp_path: Path, before: float, ratio: str) -> None:
    text = table("Date,Close", lambda day, price: f"{day},{price * (before if day < DAYS[200] else 1):.6g}")
    with pytest.raises(
        JobError, match=f"line 202: Close jumps from .*, as by a share split of {ratio}. .* --splits adjust"
    ):
        load(tmp_path, text)
    assert load(tmp_path, text, splits="adjust").values == pytest.approx(PRICES, rel=1e-4)
    kept = load(tmp_path, text, splits="keep")
    assert kept.values[0] == pytest.approx(PRICES[0] * before, rel=1e-4)
    assert kept.notes == (f"Jumps as of share splits were kept: {ratio} at line 202.",)


def test_a_spike_is_no_split(tmp_path: Path) -> None:
    text = table("Date,Close", lambda day, price: f"{day},{price * (4 if day == DAYS[200] else 1)}")
    assert load(tmp_path, text).notes == ()


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("\n".join(plain().split("\n")[:100]), {}, "mine.csv has 99 rows with a value; at least 240 are needed"),
        (plain().replace("2019-01-09", "soon"), {}, "line 7: Date holds 'soon'"),
        (plain(), {"season": 200}, "less than two seasons of 200; choose a shorter --season"),
        (plain(), {"season": 0}, "--season is 0; a number of steps of at least 1"),
        (plain(), {"period": "dayly"}, "--period is 'dayly'; one of hourly, daily"),
        (plain(), {"decimal": ","}, "--decimal is ','; point or comma is expected"),
        (plain(), {"splits": "yes"}, "--splits is 'yes'; adjust or keep is expected"),
    ],
)
def test_a_bad_csv_or_option_is_refused(tmp_path: Path, text: str, options: dict[str, object], error: str) -> None:
    with pytest.raises(JobError, match=error):
        load(tmp_path, text, **options)


def test_values_at_or_below_zero_are_no_prices(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(plain().replace("2019-01-09,1,", "2019-01-09,1,-"), encoding="utf-8")
    assert stocks.load(path).values.min() < 0
    with pytest.raises(JobError, match=r"line 7: Close is -1[0-9.]+. .* prices above 0; stock_rnn takes any values"):
        stocks.from_options(JobOptions(csv=path), above_zero=True)


def test_options_without_a_file_are_refused() -> None:
    with pytest.raises(JobError, match="--time-column needs --csv"):
        stocks.from_options(JobOptions(time_column="Date"))
