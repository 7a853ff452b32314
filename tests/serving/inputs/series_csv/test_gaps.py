"""Steps without row are filled by interpolation, where the period has a fixed step."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.reader import ReadOptions, Series, read_bytes


def series(step: timedelta, leave_out: set[int], n: int = 120, options: ReadOptions | None = None) -> Series:
    start = datetime(2024, 1, 1)
    rows = [f"{start + i * step},{i}.25" for i in range(n) if i not in leave_out]
    return read_bytes("\n".join(["time,value", *rows]).encode(), options)


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=1), timedelta(weeks=1), timedelta(minutes=15)])
def test_a_linear_series_is_whole_again(step: timedelta) -> None:
    found = series(step, {10, 50, 51, 52, 53})
    assert found.values == pytest.approx(np.arange(120) + 0.25)
    assert found.times is not None and len(set(np.diff(found.times).tolist())) == 1
    assert any(note.startswith("values interpolated at 5 steps of ") for note in found.notes)
    assert found.lines[48:56].tolist() == [49, 50, 50, 50, 50, 50, 51, 52]  # with the line of the row before


def test_rows_without_a_value_are_filled() -> None:
    start = datetime(2024, 1, 1)
    rows = [f"{start + timedelta(weeks=i):%Y-%m-%d},{'' if i in (7, 8) else i + 0.5}" for i in range(60)]
    found = read_bytes("\n".join(["week,co2", *rows]).encode())
    assert found.values == pytest.approx(np.arange(60) + 0.5)


def test_business_days_keep_their_rows() -> None:
    days = [day for i in range(200) if (day := datetime(2024, 1, 1) + timedelta(days=i)).weekday() < 5]
    rows = [f"{day:%Y-%m-%d},{i}.5" for i, day in enumerate(days) if not 40 <= i < 50]
    found = read_bytes("\n".join(["Date,Close", *rows]).encode())
    assert len(found.values) == len(rows) and found.period.step == "business day"


def test_many_steps_without_row_are_refused() -> None:
    with pytest.raises(SeriesFileError, match=r"has no row for 40 of 120 steps of one day; at most 20% are filled"):
        series(timedelta(days=1), {*range(30, 70)})


def test_rows_of_a_named_period_are_consecutive() -> None:
    found = series(timedelta(days=1), {*range(30, 70)}, options=ReadOptions(period="daily"))
    assert len(found.values) == 80
