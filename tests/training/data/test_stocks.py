"""Prices from a CSV file: columns, and errors of invalid files."""

from pathlib import Path

import pytest

from training.core.errors import JobError
from training.data import stocks

DAYS = [f"20{year}-01-{day:02}" for year in range(10, 22) for day in range(1, 21)]


def write(path: Path, *rows: str, header: str = "Date,Open,Close") -> Path:
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def good() -> list[str]:
    return [f"{day},1,{100 + i}" for i, day in enumerate(DAYS)]


def test_a_csv_is_read_by_its_closing_price(tmp_path: Path) -> None:
    prices = stocks.load(write(tmp_path / "mine.csv", *good()))
    assert prices.values[:3].tolist() == [100, 101, 102]
    assert prices.name == "mine, Close"
    assert stocks.load(tmp_path / "mine.csv", "Open").values[0] == 1


def test_the_default_is_real() -> None:
    prices = stocks.load()
    assert len(prices.values) == 1047
    assert prices.values[0] == pytest.approx(100.34)
    assert "GOOG" in prices.name


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows[:1], "has 1 rows; at least 240"),
        (lambda rows: [*rows[:5], f"{DAYS[5]},1,", *rows[6:]], "line 7: Close is empty; a number is expected"),
        (lambda rows: [*rows[:5], f"{DAYS[5]},1,n/a", *rows[6:]], "line 7: Close holds 'n/a'"),
        (lambda rows: [*rows[:5], f"{DAYS[5]},1,-3", *rows[6:]], "line 7: Close is -3.0; a price above 0"),
        (lambda rows: [*rows[:5], f"{DAYS[5]}", *rows[6:]], "line 7: Close is empty"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "comes after"),
        (lambda rows: [rows[0], *rows], "is a duplicate"),
        (lambda rows: ["soon,1,100", *rows[1:]], "'soon' is not a date"),
        (lambda rows: [], "has 0 rows"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path: Path, change: object, error: str) -> None:
    path = write(tmp_path / "bad.csv", *change(good()))  # type: ignore[operator]
    with pytest.raises(JobError, match=error):
        stocks.load(path)


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", *good())
    with pytest.raises(JobError, match="no column 'Last'; it has: Date, Open, Close"):
        stocks.load(path, "Last")
    with pytest.raises(JobError, match="cannot be read"):
        stocks.load(tmp_path / "missing.csv")
    with pytest.raises(JobError, match="is empty"):
        stocks.load(_touch(tmp_path / "empty.csv"))
    with pytest.raises(JobError, match="choose one with --column"):
        stocks.load(write(tmp_path / "odd.csv", "2020-01-01,1", header="Date,Value"))


def test_semicolons_are_explained(tmp_path: Path) -> None:
    path = write(tmp_path / "deutsch.csv", "2020-01-02;1;100,5", header="Date;Open;Close")
    with pytest.raises(JobError, match="separates its columns by semicolons; commas are expected"):
        stocks.load(path)


def _touch(path: Path) -> Path:
    path.touch()
    return path
