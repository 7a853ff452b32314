"""Files as vendors and programs write them, read as one series or refused with the option that decides."""

import gzip
import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.reader import MOST_BYTES, ReadOptions, Series, read, read_bytes
from tests.serving.inputs.series_csv.files import (
    COUNT,
    DAYS,
    MONTHS,
    PRICES,
    changed,
    german,
    joined,
    newest_first,
    plain,
    table,
)

MONTH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MONTH_PT = ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho"]
MONTH_PT += ["agosto", "setembro", "outubro", "novembro", "dezembro"]
YAHOO = table("Date,Open,High,Low,Close,Adj Close,Volume", lambda d, p: f"{d},1,1,1,{4 * p:.2f},{p},1000")
STOOQ = table(
    "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
    lambda d, p: f"AAPL.US,D,{d:%Y%m%d},000000,1,1,1,{p},1000,0",
)
INVESTING = newest_first(
    table(
        '"Date","Price","Open","High","Low","Vol.","Change %"',
        lambda d, p: f'"{d:%m/%d/%Y}","{p:,.2f}","1","1","1","1.2M","-0.35%"',
    )
)
INVESTING_DE = newest_first(
    table(
        '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"',
        lambda d, p: f'"{d:%d.%m.%Y}","{german(p)}","1,00","1,00","1,00","1,20M","-0,35%"',
    )
)
BANK = joined(
    "Kurse;DE0007100000",
    "Zeitraum;02.01.2019 - 25.02.2020",
    "",
    table("Datum;Erster;Hoch;Tief;Schlusskurs;Stücke", lambda d, p: f"{d:%d.%m.%Y};1,00;1,00;1,00;{german(p)} €;1.000"),
)
#: Files that hold the prices of files.py, and what the reader says about them.
SAME: dict[str, tuple[str | bytes, str]] = {
    "plain": (plain(), "column Close"),
    "CR LF": (plain("\r\n"), "column Close"),
    "CR": (plain("\r"), "column Close"),
    "UTF-8 with mark": (plain().encode("utf-8-sig"), "column Close"),
    "UTF-16": (plain().encode("utf-16"), "UTF-16"),
    "UTF-16 big-endian without mark": (plain().encode("utf-16-be"), "UTF-16-BE"),
    "Latin-1": (plain().replace("Open", "Öffnung").encode("latin-1"), "Windows-1252"),
    "Excel's tabs": (table("Date\tClose", lambda d, p: f"{d:%d.%m.%Y}\t{german(p)}").encode("utf-16"), "tabs"),
    "Excel's separator line": ("sep=;\n" + table("Date;Close", lambda d, p: f"{d};{p}"), "semicolons"),
    "bars": (table("Date|Close", lambda d, p: f"{d}|{p}"), "bars"),
    "Yahoo": (YAHOO, "Adj Close, not Close"),
    "Yahoo with nulls": (
        changed(YAHOO, {5: "2019-01-07,null,null,null,null,null,null"}),
        "rows without a value left out: 1",
    ),
    "Stooq": (STOOQ, "times: column <DATE> <TIME>"),
    "Stooq, web": (table("Date,Open,High,Low,Close,Volume", lambda d, p: f"{d},1,1,1,{p},1e5"), "column Close"),
    "Alpha Vantage": (
        newest_first(table("timestamp,open,high,low,close,volume", lambda d, p: f"{d},1,1,1,{p},9")),
        "newest first: turned round",
    ),
    "Alpha Vantage, adjusted": (
        newest_first(
            table(
                "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
                lambda d, p: f"{d},1,1,1,{4 * p:.2f},{p},9,0.0,1.0",
            )
        ),
        "adjusted_close, not close",
    ),
    "Alpha Vantage, keys": (
        table("date,1. open,2. high,3. low,4. close,5. volume", lambda d, p: f"{d},1,1,1,{p},9"),
        "column 4. close",
    ),
    "IEX": (
        table(
            "close,high,low,open,symbol,volume,id,key,subkey,date,updated,changeOverTime,marketChangeOverTime,uOpen,uClose",
            lambda d, p: f"{p},1,1,1,AAPL,9,HISTORICAL_PRICES,AAPL,,{d},1606830572000,0,0,1,{4 * p}",
        ),
        "times: column date",
    ),
    "FMP": (
        table(
            "date,open,high,low,close,adjClose,volume,unadjustedVolume,change,changePercent,vwap,label",
            lambda d, p: f'{d},1,1,1,{4 * p:.2f},{p},9,9,0,0,1,"{d:%B} {d.day:02}, {d:%y}"',
        ),
        "adjClose, not close",
    ),
    "Quandl": (
        table(
            "Date,Open,High,Low,Close,Volume,Adj. Open,Adj. Close,Adj. Volume",
            lambda d, p: f"{d},1,1,1,{2 * p},9,1,{p},9",
        ),
        "Adj. Close, not Close",
    ),
    "NSE": (
        newest_first(
            table(
                '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME "',
                lambda d, p: (
                    f'"{d:%d-%b-%Y}","EQ","1.00","1.00","1.00","{p - 1:,.2f}","{p:,.2f}","{p:,.2f}","1","1,23,456"'
                ),
            )
        ),
        "column close",
    ),
    "Kaggle's NSE": (
        table("Date,Symbol,Prev Close,Open,Last,Close,Turnover", lambda d, p: f"{d},ABC,{p - 1:.2f},1,1,{p},1E5"),
        "column Close",
    ),
    "Nasdaq": (
        newest_first(table("Date,Close/Last,Volume,Open", lambda d, p: f"{d:%m/%d/%Y},${p},123,$1")),
        "column Close/Last",
    ),
    "Investing.com": (INVESTING, "column Price"),
    "Investing.com, German": (INVESTING_DE, "decimal commas"),
    "a German bank": (BANK.encode("cp1252"), "header: line 4"),
    "Google Sheets": (
        table("Date,Close", lambda d, p: f"{d.month}/{d.day}/{d.year} 16:00:00,{p}"),
        "column Close",
    ),
    "R's write.table": (
        table('"Date" "Close"', lambda d, p: f'"{DAYS.index(d) + 1}" "{d}" {p}'),
        "taken as names of the rows",
    ),
    "R's row names": (table("Open,Low,Close", lambda d, p: f"{d},1,{p - 1},{p}"), "taken as names of the rows"),
    "R's quantmod": (
        table('"","AAPL.Open","AAPL.Close","AAPL.Adjusted"', lambda d, p: f'"{d}",1,{4 * p:.2f},{p}'),
        "column AAPL.Adjusted",
    ),
    "pandas": (table(",Date,Close", lambda d, p: f"{DAYS.index(d)},{d},{p}"), "times: column Date"),
    "pandas, index of times": (table(",Close", lambda d, p: f"{d} 00:00:00-05:00,{p}"), "times: column 1"),
    "yfinance": (
        joined(
            "Price,Close,High,Low,Open,Volume",
            "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL",
            "Date,,,,,",
            table("", lambda d, p: f"{d},{p},1,1,1,9"),
        ),
        "column Close",
    ),
    "comments": ("# prices of a share\n# Closing, in USD\n" + plain(), "header: line 3"),
    "FRED": (
        changed(table("observation_date,DEXUSEU", lambda d, p: f"{d},{p}"), {9: "2019-01-11,", 99: "2019-05-17,."}),
        "rows without a value left out: 2",
    ),
    "FRED, text": (
        joined(
            "Title:               A price",
            "Series ID:           ABC",
            "Source:              A bank",
            "",
            table("DATE        VALUE", lambda d, p: f"{d}  {p}"),
        ),
        "columns separated by spaces",
    ),
    "a bank of issue": (
        joined(
            '"";BBK01.ABC;BBK01.ABC_FLAGS',
            '"";Preis;',
            "Einheit;EUR;",
            "Dimension;Eins;",
            table("", lambda d, p: f"{d};{german(p)};"),
            '"Bemerkung: geschätzt"',
        ),
        "column BBK01.ABC",
    ),
    "a total": (plain() + "Total,,123456\n", "totals after the data left out"),
    "sources after the data": (plain() + "\nSource: a vendor\n", "lines after the data left out: 1"),
    "a repeated header": (
        changed(plain(), {50: "2019-03-11,1,0\nDate,Open,Close"}).replace(
            "2019-03-11,1,0\n", plain().split("\n")[49] + "\n"
        ),
        "repeated headers left out: 1",
    ),
    "a repeated row": (changed(plain(), {50: "\n".join([plain().split("\n")[49]] * 2)}), "repeated rows left out: 1"),
    "a comma at the end": (table("Date,Close", lambda d, p: f"{d},{p},"), "column Close"),
    "commas at the end": (table("Date,Close,,", lambda d, p: f"{d},{p},,"), "column Close"),
    "rows of commas": (plain().replace("2019-01-04", ",,\n2019-01-04"), "column Close"),
    "seconds": (
        table("time,close", lambda d, p: f"{(d - DAYS[0]).days * 86400 + 1546387200},{p}"),
        "Unix time",
    ),
    "milliseconds": (
        table("Timestamp,Close", lambda d, p: f"{((d - DAYS[0]).days * 86400 + 1546387200) * 1000},{p}"),
        "times",
    ),
    "names of months": (
        table("Date,Price", lambda d, p: f'"{MONTH[d.month - 1]} {d.day:02}, {d.year}","{p:,}"'),
        "Price",
    ),
    "short months": (table("Date,Close", lambda d, p: f"{d.day}-{MONTH[d.month - 1]}-{d:%y},{p}"), "Close"),
    "days of the week": (table("Date,Close", lambda d, p: f'"{d:%A}, {d.day} {d:%B} {d.year}",{p}'), "Close"),
    "Excel's days": (table("Date,Close", lambda d, p: f"{(d - DAYS[0]).days + 43467},{p}"), "Excel's day numbers"),
    "columns of year, month and day": (
        table("Year,Month,Day,Close", lambda d, p: f"{d.year},{d.month},{d.day},{p}"),
        "Year-Month-Day",
    ),
    "units below the header": (
        joined("Date;Price", "DD.MM.YYYY;EUR", table("", lambda d, p: f"{d:%d.%m.%Y};{german(p)}")),
        "rows below the header left out: 1",
    ),
    "Bloomberg": (
        joined(
            "Security,AAPL US Equity",
            "Start Date,2019-01-02",
            "Period,D",
            "",
            table("Date,PX_LAST", lambda d, p: f"{d:%m/%d/%Y},{p}"),
        ),
        "column PX_LAST",
    ),
    "Yahoo's page": (
        table(
            '"Date","Close*","Adj Close**"', lambda d, p: f'"{MONTH[d.month - 1]} {d.day}, {d.year}","{4 * p:,.2f}",{p}'
        ),
        "Adj Close**, not Close*",
    ),
    "CoinGecko": (
        table("snapped_at,price,market_cap", lambda d, p: f"{d} 00:00:00 UTC,{p},1e9"),
        "times: column snapped_at",
    ),
    "a central bank": (
        table(
            '"DATE","TIME PERIOD","EUR/USD (EXR.D)"', lambda d, p: f'"{d}","{d:%d} {MONTH[d.month - 1]} {d:%Y}","{p}"'
        ),
        "times: column DATE",
    ),
    "Polish names": (table("Data,Otwarcie,Zamkniecie,Wolumen", lambda d, p: f"{d},1,{p},9"), "column Zamkniecie"),
    "Portuguese dates": (
        table(
            "Data;Preço",
            lambda d, p: f"{d.day} de {MONTH_PT[d.month - 1]} de {d.year};R$ {german(p)}",
        ),
        "decimal commas",
    ),
    "SAS": (table("DATE,PRICE", lambda d, p: f"{d.day:02}{MONTH[d.month - 1].upper()}{d.year},{p}"), "column PRICE"),
    "a broker": (table("Date,Close", lambda d, p: f"{d:%Y%m%d}  00:00:00,{p}"), "column Close"),
    "a statistics office": (
        joined(
            '"Title","An index"',
            '"Source ID","AB"',
            '"Release date","15-01-2020"',
            table('"Important notes",""', lambda d, p: f'"{d.year} {MONTH[d.month - 1].upper()} {d.day}","{p}"'),
        ),
        "rows below the header left out: 3",
    ),
    "MetaTrader": (
        table("<DATE>\t<OPEN>\t<CLOSE>\t<TICKVOL>", lambda d, p: f"{d:%Y.%m.%d}\t1\t{p}\t9"),
        "column <CLOSE>",
    ),
    "no-break spaces": (table("Date;Price", lambda d, p: f"{d};{p:,.2f} EUR".replace(",", "\u202f")), "Price"),
    "Switzerland": (table("Date;Price", lambda d, p: f"{d};CHF {p:,.2f}".replace(",", "'")), "Price"),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_prices_in_another_dialect(name: str) -> None:
    content, said = SAME[name]
    series = read_bytes(content.encode() if isinstance(content, str) else content)
    dropped = {"Yahoo with nulls": [3], "FRED": [7, 97]}.get(name, [])
    assert series.values.tolist() == [price for i, price in enumerate(PRICES) if i not in dropped]
    assert (series.first, series.last) == ("2019-01-02", "2020-02-25")
    assert (series.period.step, series.period.season) == ("business day", 5)
    assert said in "; ".join(series.notes), series.notes


def test_a_price_in_its_currency() -> None:
    for cell, unit in (
        ("{} €", "EUR"),
        ("${}", "$"),
        ("US${}", "USD"),
        ("{} USD", "USD"),
        ("CHF {}", "CHF"),
        ("{}", None),
    ):
        text = table("Date;Close", lambda d, p, cell=cell: f"{d};{cell.format(p)}")
        assert read_bytes(text.encode()).unit == unit
    assert read_bytes(plain().replace("Close", "Close (EUR)").encode()).unit == "EUR"
    assert read_bytes(plain().encode(), ReadOptions(unit="points")).unit == "points"


@pytest.mark.parametrize(
    ("days", "form", "step", "season"),
    [
        ([f"{day}" for day in MONTHS], "{}", "month", 12),
        ([f"{day:%Y-%m}" for day in MONTHS], "{}", "month", 12),
        ([f"{day:%YM%m}" for day in MONTHS], "{}", "month", 12),
        ([f"{MONTH[day.month - 1]} {day.year}" for day in MONTHS], "{}", "month", 12),
        ([f"{np.datetime64(day, 'M') + 1 - np.timedelta64(1, 'D')}" for day in MONTHS], "{}", "month", 12),
        ([f"{1960 + i // 4}Q{1 + i % 4}" for i in range(200)], "{}", "quarter", 4),
        ([f"{np.datetime64('1960-01') + 3 * i}-01" for i in range(200)], "{}", "quarter", 4),
        ([f"{1700 + i}" for i in range(300)], "{}", "year", 1),
        ([f"{np.datetime64('2018-01-05') + 7 * i}" for i in range(300)], "{}", "week", 52),
        ([f"{np.datetime64('2018-01-01') + i}" for i in range(300)], "{}", "day", 7),
        ([f"{np.datetime64('2018-01-01') + 14 * i}" for i in range(300)], "{}", "14 days", 26),
        ([f"{np.datetime64('2018-01-01T00:00') + 60 * i}" for i in range(300)], "{}", "hour", 24),
        ([f"{np.datetime64('2018-01-01T00:00') + 60 * i}" for i in range(300)], "{}Z", "hour", 24),
        ([f"{np.datetime64('2018-01-01T00:00') + 15 * i}" for i in range(300)], "{}:00+01:00", "15 minutes", 96),
        ([f"{np.datetime64('2018-01-01') + i // 24},{1 + i % 24}" for i in range(300)], "{}", "hour", 24),
        ([f"{np.datetime64('2018-01-01') + i // 6 * 7 + i % 6}" for i in range(300)], "{}", "business day", 6),
        (
            [f"2018-01-{1 + i // 390:02} {9 + i % 390 // 60:02}:{i % 390 % 60:02}" for i in range(1200)],
            "{}",
            "minute",
            390,
        ),
        ([f"{np.datetime64('2018-01-01T00:00') + 5 * i}" for i in range(300)], "{}", "5 minutes", 288),
        ([f"2018-03-{1 + i // 7:02} {9 + i % 7}:30" for i in range(210)], "{}", "hour", 7),
    ],
)
def test_the_period_is_found(days: list[str], form: str, step: str, season: int) -> None:
    header = "Date,Hour,Value" if "," in days[0] else "Date,Value"
    text = joined(header, (f"{form.format(day)},{100 + i % 17}.5" for i, day in enumerate(days)))
    period = read_bytes(text.encode()).period
    assert (period.step, period.season) == (step, season)


def test_clocks_that_change_are_read_by_their_offsets() -> None:
    hours = [
        f"2020-10-25T{hour:02}:00:00+0{offset}:00" for hour, offset in ((1, 2), (2, 2), (2, 1), (3, 1), (4, 1), (5, 1))
    ]
    series = read_bytes(joined("time,value", (f"{hour},{i}.5" for i, hour in enumerate(hours))).encode())
    assert series.period.step == "hour" and not series.period.gaps
    summer = [f"{day} 00:00:00-0{5 if day.month < 4 else 4}:00" for day in DAYS]
    series = read_bytes(
        joined("Date,Close", (f"{day},{price}" for day, price in zip(summer, PRICES, strict=True))).encode()
    )
    assert (series.period.step, series.first) == ("business day", "2019-01-02")


def test_missing_months_are_interpolated_and_said() -> None:
    rows = [f"{day},{price}" for day, price in zip(MONTHS, PRICES, strict=True)]
    series = read_bytes(joined("Date,Close", rows[:20], rows[22:]).encode())
    assert series.period.gaps == 2 and "values interpolated at 2 steps of one month without row" in series.notes
    assert len(series.values) == len(rows) and series.lines[18:24].tolist() == [20, 21, 21, 21, 22, 23]
    assert series.values[19:23] == pytest.approx(np.linspace(PRICES[19], PRICES[22], 4))
    assert str(series.times[20])[:7] == str(MONTHS[20])[:7]


def test_options_overrule_what_is_found() -> None:
    text = table("Date,When,Open,Close", lambda d, p: f"02/0{1 + d.month % 9}/2020,{d},{p},1").encode()
    chosen = ReadOptions(column="open", time_column="When", period="daily", season=30)
    series = read_bytes(text, chosen)
    assert series.values.tolist() == PRICES
    assert (series.column, series.time_column, series.period.step, series.period.season) == ("Open", "When", "day", 30)
    series = read_bytes(text, ReadOptions(column="Open", time_column="none", period="hourly"))
    assert series.times is None and series.period.step == "hour"


def monthly(form: str) -> str:
    return joined("Date,Close", (f"{day.strftime(form)},{price}" for day, price in zip(MONTHS, PRICES, strict=True)))


def test_ambiguous_days_are_asked_for() -> None:
    with pytest.raises(SeriesFileError, match=r"01/01/1990, which may be .* choose with --day-first or --month-first"):
        read_bytes(monthly("%d/%m/%Y").encode())
    assert read_bytes(monthly("%d/%m/%Y").encode(), ReadOptions(day_first=True)).period.step == "month"
    assert read_bytes(monthly("%m/%d/%Y").encode(), ReadOptions(day_first=False)).period.step == "month"
    assert read_bytes(monthly("%d.%m.%Y").encode()).period.step == "month"  # nobody writes the month first with dots


def test_an_ambiguous_comma_is_asked_for() -> None:
    text = joined("Date;Rate", (f"{day};1,{100 + i}" for i, day in enumerate(DAYS))).encode()
    with pytest.raises(SeriesFileError, match=r"'1,100', which may be 1,100 or 1.1; choose with --decimal point or"):
        read_bytes(text)
    assert read_bytes(text, ReadOptions(decimal=",")).values[0] == 1.1
    assert read_bytes(text, ReadOptions(decimal=".")).values[0] == 1100
    decided = joined("Date;Rate;Open", (f"{day};1,{100 + i};0,5" for i, day in enumerate(DAYS))).encode()
    assert read_bytes(decided).values[0] == 1.1
    with pytest.raises(SeriesFileError, match="choose with --decimal"):
        read_bytes(joined("Date;Rate", (f"{day};{'1' if i < 9 else '1,125'}" for i, day in enumerate(DAYS))).encode())
    millions = joined("Date,Close", (f'{day},"{1_100_000 + i:,}"' for i, day in enumerate(DAYS))).encode()
    assert read_bytes(millions).values[0] == 1_100_000
    lakhs = joined("Date,Close", (f'{day},"12,34,{500 + i}.5"' for i, day in enumerate(DAYS))).encode()
    assert read_bytes(lakhs).values[0] == 1_234_500.5
    thousands = joined("Date,Close", (f'{day},"{990 + i:,}"' for i, day in enumerate(DAYS))).encode()
    assert read_bytes(thousands).values[-1] == 1289
    points = joined("Date,Rate", (f"{day},1.{100 + i}" for i, day in enumerate(DAYS))).encode()
    assert read_bytes(points).values[0] == 1.1  # a comma separates the columns


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty"),
    "white space": ("\ufeff \r\n\n", "is empty"),
    "an empty cell": ('""', "has no cells"),
    "only Excel's hint": ("sep=;\n", "has no cells"),
    "only a header": ("Date,Close\n", "has no column of numbers"),
    "no header": (plain().partition("\n")[2], "has no header: values begin at once. Add a line of names"),
    "no numbers": (
        table("Date,Close", lambda d, p: f"{d},x"),
        "has no column of numbers; its columns are: Date, Close",
    ),
    "a workbook": (b"PK\x03\x04" + bytes(50), "is a zip archive or an Excel workbook .* export the table as CSV"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(50), "old Excel workbook"),
    "gzip": (gzip.compress(plain().encode()), "is compressed by gzip, not a CSV; unpack it first"),
    "JSON": (json.dumps({"data": PRICES}), "is JSON, not a CSV"),
    "a web page": ("<!DOCTYPE html><html><body>Log in</body></html>", "is a web page or XML"),
    "NUL characters": (plain().replace("2019-01-04", "2019\0-01-04"), "line 4: a NUL character"),
    "half of UTF-16": (plain().encode("utf-16")[:-1], "is not valid UTF-16"),
    "a long row": (changed(plain(), {7: "2019-01-09,1,2,3"}), "line 7: 4 cells, but the header has 3"),
    "a short row": (changed(plain(), {7: "2019-01-09"}), "line 7: 1 cell, but the header has 3"),
    "header lines of several widths": (
        "a,a,b,b\nc,c,c\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n",
        "line 3: 2 cells, but the header has 4",
    ),
    "a file that was cut off": (plain()[:-9], "line 301: 2 cells, but the header has 3; the file may be cut off"),
    "thousands without quotes": (
        table("Date,Open,Close", lambda d, p: f"{d},1,200.00,{p:,}"),
        r"line 2: 5 cells, but the header has 3 \(and 299 more lines like this\)",
    ),
    "thousands without quotes or dates": (
        table("Close", lambda d, p: f"{p:,}"),
        "line 2: 2 cells, but the header has 1",
    ),
    "an open quote": (changed(plain(), {7: '2019-01-09,"1,100'}), "line 7: a quote is not closed"),
    "a word": (changed(plain(), {7: "2019-01-09,1,many"}), "line 7: Close holds 'many'; a number is expected"),
    "two numbers": (changed(plain(), {7: "2019-01-09,1,100 5"}), "line 7: Close holds '100 5'"),
    "two notations": (
        changed(plain(), {7: '2019-01-09,1,"1.234,56"'}),
        "line 7: Close holds '1.234,56'; a number is expected; with a decimal point",
    ),
    "infinity, in the first row": (changed(plain(), {2: "2019-01-02,inf,-inf"}), "line 2: Close holds '-inf'"),
    "half of the rows without cells": (
        plain().replace("\n2019", "\n,,\n2019"),
        "has no value of Close in 259 of 559 rows",
    ),
    "a column for each month": (
        joined("Year," + ",".join(MONTH), (f"{year}," + ",".join(["1.5"] * 12) for year in range(1950, 2000))),
        "has one column for each time .Jan, Feb, Mar, ….; .*transpose it",
    ),
    "infinity": (changed(plain(), {7: "2019-01-09,1,1e999"}), "line 7: Close is 1e999, which is too large"),
    "no date": (changed(plain(), {7: "soon,1,100"}), "line 7: Date holds 'soon', which is not a date"),
    "no such date, in the last row": (plain().replace("2020-02-25", "2020-02-30"), "line 301: Date holds '2020-02-30'"),
    "no such date": (changed(plain(), {7: "2019-02-30,1,100"}), "line 7: Date holds '2019-02-30', which is not a date"),
    "an empty date": (changed(plain(), {7: ",1,100"}), "line 7: Date is empty; a date is expected"),
    "disorder": (
        changed(plain(), {7: "2018-01-09,1,100"}),
        "line 7: 2018-01-09 comes after 2019-01-08; rows must be in",
    ),
    "disorder, newest first": (
        changed(newest_first(plain()), {7: "2021-01-09,1,100"}),
        "line 7: 2021-01-09 comes after",
    ),
    "two prices of a day": (
        changed(plain(), {7: "2019-01-08,1,100"}),
        "line 7: 2019-01-08 is a duplicate of line 6 with another value",
    ),
    "an hour that comes twice": (
        joined("Time,Load", (f"2020-10-25 {hour:02}:00,{i}.5" for i, hour in enumerate((0, 1, 2, 2, 3, 4, 5)))),
        r"line 5: 2020-10-25 02:00:00 is a duplicate of line 4 .* clocks that change need an offset",
    ),
    "two shares": (
        joined(table("Date,Name,Close", lambda d, p: f"{d},A,{p}").rstrip(), (f"{day},B,7" for day in DAYS)),
        r"line 302: 2019-01-02 comes after 2020-02-25; .*Column Name has 2 names \(A, B\): keep the rows of one",
    ),
    "many missing": (
        table("Date,Close", lambda d, p: f"{d},{'' if d.day % 3 else p}"),
        r"has no value of Close in \d+ of 300 rows \(lines 2, 4, 5, …\); .* --drop-missing",
    ),
    "several prices": (
        table("Date,A.Close,B.Close", lambda d, p: f"{d},{p},{p}"),
        "several columns of values: A.Close, B.Close; choose with --column",
    ),
    "several numbers": (
        table("Date,A,B", lambda d, p: f"{d},{p},{p}"),
        "several columns of numbers; choose with --column: A, B",
    ),
    "the same name twice": (
        table("Date,Close,Close", lambda d, p: f"{d},{p},{p}"),
        "several columns of values: Close, Close",
    ),
    "several times": (
        table("Opened,Closed,Price", lambda d, p: f"{d},{d},{p}"),
        "several columns of times: Opened, Closed; choose with --time-column",
    ),
    "no time": (table("Close", lambda d, p: f"{p}"), "has no column of times, .* name it with --period: hourly, daily"),
    "no period": (
        joined("Date,Close", (f"{np.datetime64('2010-01-01') + i * i},{100 + i}" for i in range(100))),
        "days apart .* no regular period; name it with --period",
    ),
    "mixed days": (
        changed(table("Date,Close", lambda d, p: f"{d:%d/%m/%Y},{p}"), {7: "01/23/2019,1"}),
        "Date mixes day first .* and month first",
    ),
    "years in columns": (
        joined('"Country Name","Code",' + ",".join(map(str, range(1960, 2020))), "World,WLD," + ",".join(["1.5"] * 60)),
        "has one column for each time .*: transpose it",
    ),
    "currencies": (
        changed(table("Date;Close", lambda d, p: f"{d};${p}"), {7: "2019-01-09;€7.5"}),
        r"several units in Close: \$, EUR",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    content, error = REFUSED[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SeriesFileError, match=error) as refused:
        read(path)
    assert str(refused.value).startswith(str(path))


def test_many_missing_values_are_accepted_on_request() -> None:
    text = table("Date,Close", lambda d, p: f"{d},{'' if d.weekday() == 2 else p}").encode()
    with pytest.raises(SeriesFileError, match="leave them out with --drop-missing"):
        read_bytes(text)
    assert len(read_bytes(text, ReadOptions(drop_missing=True)).values) == 240


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(SeriesFileError, match=r"missing\.csv cannot be read as a CSV: No such file"):
        read(tmp_path / "missing.csv")
    with pytest.raises(SeriesFileError, match="cannot be read as a CSV: Is a directory"):
        read(tmp_path)
    with pytest.raises(SeriesFileError, match="has no column 'Last' for --column; it has: Date, Open, Close"):
        read_bytes(plain().encode(), ReadOptions(column="Last"))
    with pytest.raises(SeriesFileError, match="has no column 'When' for --time-column"):
        read_bytes(plain().encode(), ReadOptions(time_column="When"))


def test_a_damaged_file_is_read_or_refused() -> None:
    """No other exception, whatever a file holds."""
    random = np.random.default_rng(1)
    pieces = [
        ",",
        ";",
        '"',
        "\r",
        "\0",
        "9999-12-31 24:00",
        "0000-00-00",
        "1e308",
        "-",
        "(",
        "99999999999999",
        "Total",
        "#",
    ]
    contents = [content if isinstance(content, str) else content.decode("latin-1") for content, _ in SAME.values()]
    refused = 0
    for _ in range(400):
        lines = contents[random.integers(len(contents))].split("\n")[: random.integers(1, 40)]
        for _ in range(random.integers(1, 5)):
            line = random.integers(len(lines))
            at = random.integers(len(lines[line]) + 1)
            piece = pieces[random.integers(len(pieces))]
            lines[line] = lines[line][:at] + piece + lines[line][at + random.integers(3) :]
        try:
            read_bytes("\n".join(lines).encode("latin-1", errors="replace"))
        except SeriesFileError:
            refused += 1
    assert 100 < refused < 400


def test_a_large_file_costs_bounded_memory_and_time(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(b"Date,Close\n")
        file.truncate(2_000_000_000)  # a sparse file
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(SeriesFileError, match=r"large\.csv has more than 50 MB; keep only the columns"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * MOST_BYTES
    assert time.perf_counter() - start < 5
    tracemalloc.stop()


def test_the_lines_of_the_values_are_known() -> None:
    series: Series = read_bytes(newest_first(plain()).encode())
    assert series.lines[0] == COUNT + 1 and series.lines[-1] == 2


def test_two_rows_show_no_period() -> None:
    with pytest.raises(
        SeriesFileError, match=r"has 2 rows with a value; at least 3 are needed to find the period\. Add"
    ):
        read_bytes(b"Date,Close\n2024-01-02,1\n2024-01-03,2\n")
    with pytest.raises(SeriesFileError, match="has 1 row with a value"):
        read_bytes(b"Date,Close\n2024-01-02,1.5\n")
