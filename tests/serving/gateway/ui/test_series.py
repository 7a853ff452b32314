"""Series on the page: examples, pasted numbers and CSV files."""

from pathlib import Path

import pytest

from serving.inputs.series_csv import reader
from tests.programs import REPOSITORY
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.ui.test_image import transfer
from tests.serving.inputs.test_histories import TEXTS


@pytest.fixture
def series(page: Browser) -> Browser:
    page.run("location.hash = '#series'")
    page.wait_for("90% band", "#forecasts")
    return page


def test_a_series_is_forecast_with_its_band_and_the_naive_line(series: Browser) -> None:
    assert "Google's closing price" in series.texts("#example-note")[0]
    assert series.texts("#forecasts .legend li") == [
        "forecast",
        "90% band",
        "naive: the last value again",
        "what happened",
    ]
    series.type("#history", "1 2; 3,\n4")
    assert series.texts("#example-note") == []
    series.type("#horizon", "3")
    series.click("#forecast")
    script = "return document.querySelector('#forecasts {}')?.getAttribute('points').split(' ').length"
    until(lambda: series.run(script.format(".mean")) == 1 + 3)  # the forecast of the example is shown until then
    assert series.run(script.format(".naive")) == 1 + 3
    assert series.texts("#forecasts > .quiet") == ["version 1 · in USD"]
    assert series.run("return document.querySelectorAll('#forecasts .band').length") == 2  # area and legend
    for text, message in (
        ("1 two 3", "Write numbers such as"),
        ("0,31 0,58 0,81 0,95", "Write decimals with a point"),
        ("1 2", "at least 4 values"),
    ):
        series.type("#history", text)
        series.click("#forecast")
        series.wait_for(message, "#forecasts .error")


def test_errors_below_rounding_give_no_warning(window: Browser, shipped: Gateway) -> None:
    window.open(f"{shipped.url}/#series")
    window.wait_for("Practically exact", "#series-section .card")
    assert shipped.http.get("/v1/models/sine_rnn/card").json()["notes"] == []
    assert window.texts("#series-section .note") == []
    window.run("document.querySelector('#series-section [value=stock_rnn]').click()")
    window.wait_for("No better than", "#series-section .note")
    window.wait_for("After its test, the model was fitted on what happened, too.", "#example-note")


def test_the_page_reads_numbers_as_the_command_does(page: Browser) -> None:
    script = (
        "const texts = arguments[0]; return import('/page/numbers.js').then(({ numbers }) => texts.map((text) => {"
        " try { return numbers(text); } catch { return null; } }))"
    )
    assert page.run(script, [text for text, _ in TEXTS]) == [values for _, values in TEXTS]


CSV = {
    "newest first": (
        b"timestamp,open,close\n2020-02-25,1,119.58\n2020-02-24,1,120.06\n2020-02-21,1,3\n",
        "close",
        [3, 120.06, 119.58],
    ),
    "the exact name": (b"Date,Prev Close,Close\n2020-01-01,1,2\n2020-01-02,2,3\n", "Close", [2, 3]),
    "adjusted": (b"Date,Close,Adj. Close\n2020-01-01,1,2\n2020-01-02,2,3\n", "Adj. Close", [2, 3]),
    "dotted": (b"Date,AAPL.Close,AAPL.Adjusted\n2020-01-01,1,2\n2020-01-02,2,3\n", "AAPL.Adjusted", [2, 3]),
    "decimal commas": (b"Tag;Wert\n01.02.2020;1,5\n02.02.2020;1.234,5\n", "Wert", [1.5, 1234.5]),
    "signs of currency": (
        "Datum;Schlusskurs;Stück\n02.01.2024;126,37 €;17.000\n01.01.2024;-1.126,90€;9.000\n".encode(),
        "Schlusskurs",
        [-1126.9, 126.37],
    ),
    "currency before": (b"Date,Close\n2024-01-01,$1.50\n2024-01-02,-US$ 2\n2024-01-03,EUR 3\n", "Close", [1.5, -2, 3]),
    "points as thousands": (b"Tag;Menge;Rest\n01.02.2020;2.000;1,5\n02.02.2020;3.000;1,5\n", "Menge", [2000, 3000]),
    "quoted thousands": (b'Date,Close\n1/2/2020,"1,234.56"\n1/3/2020,"1,235.00"\n', "Close", [1234.56, 1235]),
    "UTF-16 and tabs": ("Date\tValue\n2020-01-01\t1\n2020-01-02\t2\n".encode("utf-16"), "Value", [1, 2]),
    "latin-1": ("Datum;Größe\n2020-01-01;1,0\n2020-01-02;2,0\n".encode("latin-1"), "Größe", [1, 2]),
    "missing values": (b"\xef\xbb\xbfDate,Value\n2020-01-01,1\n2020-01-02,null\n2020-01-03,3\n", "Value", [1, 3]),
    "numbered names": (b"Date,1. open,4. close\n2020-01-01,1,2\n2020-01-02,2,3\n", "4. close", [2, 3]),
    "never the volume": (b"date,volume,unadjustedVolume,fecho\n2020-01-01,1,2,3\n2020-01-02,2,3,4\n", "fecho", [3, 4]),
    "no header": (b"1\n2\n3\n", "column 1", [1, 2, 3]),
}


READ = (
    "const bytes = Uint8Array.from(arguments[0]); return import('/page/series/csv.js').then(({ readCsv }) => {"
    " const { columns, likely } = readCsv(bytes.buffer); return [columns[likely].name, columns[likely].values]; })"
)


def test_csv_files_in_many_forms(page: Browser) -> None:
    read = {name: page.run(READ, list(content)) for name, (content, _, _) in CSV.items()}
    assert read == {name: [column, values] for name, (_, column, values) in CSV.items()}


def test_the_example_file_is_read_as_the_command_reads_it(page: Browser) -> None:
    file = REPOSITORY / "examples/prices.csv"
    series = reader.read(file)
    assert page.run(READ, list(file.read_bytes())) == [series.column, series.values.tolist()]


def test_a_csv_file_is_forecast_with_a_choice_of_columns(series: Browser) -> None:
    rows = "".join(f"2024-01-{day:02};{day},5;{1000 - day},25\n" for day in range(20, 0, -1))
    transfer(series, "drop", f"Date;Close;Volume\n{rows}".encode(), "prices.csv", "text/csv")
    series.wait_for("prices.csv · 20 rows · newest first, so turned round · 2024-01-01 to 2024-01-20", "#example-note")
    history = "return document.querySelector('#history').value"
    assert series.run(history).startswith("1.5, 2.5, 3.5")
    series.run("const one = document.querySelector('#column'); one.value = 1; one.dispatchEvent(new Event('change'))")
    until(lambda: series.run(history).startswith("999.25, 998.25"))
    series.wait_for("Jan 20, 2024", "#forecasts svg")
    series.type("#horizon", "2")
    series.click("#forecast")
    series.wait_for("Jan 20, 2024 … Jan 22, 2024", "#forecasts svg")  # side by side, the two labels would overlap
    figures = "#forecasts .figures"
    assert series.run(f"return document.querySelector('{figures}').open") is False
    series.click(f"{figures} summary")
    assert series.texts(f"{figures} thead th") == ["Time", "forecast", "lower", "upper", "naive"]
    assert series.texts(f"{figures} tbody th") == ["Jan 21, 2024", "Jan 22, 2024"]
    assert series.texts(f"{figures} tbody tr:first-child td") == ["981.25", "980.25", "982.25", "980.25"]
    transfer(series, "paste", b"Date,Open,Close\n2019-01-02,1,200.00,1,234.56\n", "", "text/plain")
    series.wait_for("Row 2 has 5 cells, but 3 are expected.", "#forecasts .error")
    thousands = b"value\n" + b"1,234\n" * 8  # could be decimal commas
    transfer(series, "drop", thousands, "ambiguous.csv", "text/csv")
    series.wait_for("ambiguous.csv · 8 rows · commas read as thousands", "#example-note")
    transfer(series, "drop", b"a,b\nc,d\n", "words.csv", "text/csv")
    series.wait_for("The file has no column of numbers.", "#forecasts .error")


def test_a_file_with_gaps_is_forecast_without_dates(series: Browser) -> None:
    rows = "".join(f"2024-01-{day:02}T12:00,{day}\n" for day in (1, 2, 3, 4, 5, 6, 9))
    transfer(series, "drop", f"Date,Close\n{rows}".encode(), "prices.csv", "text/csv")
    series.wait_for("Without dates: timestamps have a gap: 2024-01-09T12:00 is 3 days after", "#forecasts")
    series.wait_for("2024-01-09T12:00", "#forecasts svg")
    assert series.texts("#forecasts .figures thead th:first-child") == []  # the table is closed
    series.click("#forecasts .figures summary")
    assert series.texts("#forecasts .figures tbody th")[:2] == ["+1", "+2"]


def test_the_same_file_can_be_chosen_twice(page: Browser, tmp_path: Path) -> None:
    page.run("location.hash = '#series'")
    page.wait_for("90% band", "#forecasts")
    file = tmp_path / "one.csv"
    file.write_text("value\n" + "\n".join(map(str, range(1, 9))))
    for _ in range(2):
        page.run("document.querySelector('#example-note').textContent = ''")
        page.type_path("#csv", file)
        page.wait_for("one.csv · 8 rows", "#example-note")
    assert page.texts("#column-row") == []
