"""Histories that people write, and ambiguous commas."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.inputs import histories
from tests.serving.gateway.conftest import models_root, served
from tests.serving.gateway.programs import Gateway
from tests.serving.inputs.series_csv.files import MONTHS, PRICES, newest_first, plain, table

__all__ = ["models_root", "served"]

#: Texts and their values, or None for those that are refused. The page reads them alike.
TEXTS: list[tuple[str, list[float] | None]] = [
    ("0.31,0.58", [0.31, 0.58]),
    ("0.31, 0.58", [0.31, 0.58]),
    ("0.31 , 0.58", [0.31, 0.58]),
    ("0.31 0.58", [0.31, 0.58]),
    ("0.31;0.58", [0.31, 0.58]),
    ("0.31\t0.58", [0.31, 0.58]),
    ("\ufeff0.31\r\n0.58\r\n\r\n", [0.31, 0.58]),
    ("1 2; 3,\n4", [1, 2, 3, 4]),
    ("0.31,0.58,", [0.31, 0.58]),
    ("\u22120.31, +2., .5, 1e3, -1.5E-2", [-0.31, 2, 0.5, 1000, -0.015]),
    ("3", [3]),
    ("0,31\n0,58", None),
    ("0,31 0,58", None),
    ("0,31;0,58", None),
    ("0,31, 0,58", None),
    ("0,31\t0,58", None),
    ("0,05", None),
    ("1,234.56, 1,300.10", None),
    ("1.234,56\n1.300,10", None),
    ("1'234.56 1'300.10", None),
    ("1\u00a0234.56", None),
    ("1\u202f234,56", None),
    ("1_000 2", None),
    ("1,,2", None),
    ("0.31 nan", None),
    ("0.31 Infinity", None),
    ("1 1e999", None),
    ("0x10 1", None),
    ("\u0663 1", None),
    ("1 two 3", None),
    ("# GOOG\n1\n2", None),
    ("$1 $2", None),
    ("1% 2%", None),
]


@pytest.mark.parametrize(("text", "values"), TEXTS)
def test_a_text(text: str, values: list[float] | None) -> None:
    if values is not None:
        assert histories.of_text(text) == values
    else:
        with pytest.raises(ValueError, match=r"is not a number|too large"):
            histories.of_text(text)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"0.31\n0.58\n", [0.31, 0.58]),
        (b"\xef\xbb\xbf0.31\r\n\r\n 0.58 \r\n", [0.31, 0.58]),
        (b"0.31\r0.58", [0.31, 0.58]),
        ("0.31\r\n0.58\r\n".encode("utf-16"), [0.31, 0.58]),
        ("\u22120.31\n".encode(), [-0.31]),
        (b"0,31\n0,58\n", None),
        (b"0.31,0.58\n", None),
        (b"0.31 0.58\n", None),
        (b"0.31;0.58\n", None),
        (b"2024-01-02\t0.31\n", None),
        (b"1,234.56\n", None),
        (b"1 234\n", None),
        (b"0.31,\n0.58,\n", None),
        (b"Close\n0.31\n", None),
        (b"# GOOG\n0.31\n", None),
        (b"0.31\nNaN\n", None),
        (b"0.31\n-inf\n", None),
        (b'0.31\n""\n', None),
        (b"1_000\n", None),
        (b"1e999\n", None),
        (b"", None),
        (b"\n\n", None),
        (b"0.31\n\xff\n", None),
    ],
)
def test_lines(content: bytes, values: list[float] | None) -> None:
    if values is not None:
        assert histories.of_lines(content) == values
    else:
        with pytest.raises(ValueError, match=r"^line \d+: |history is"):
            histories.of_lines(content)


def vitrine(content: bytes, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "serving.cli.main", "forecast", *arguments]
    return subprocess.run(command, input=content, capture_output=True, timeout=60)


def test_vitrine_forecast(served: Gateway) -> None:
    more = ("trend", "--horizon", "2", "--url", served.url)
    for done in (vitrine(b"1\n2\n3\n4\n", *more), vitrine(b"", "--history", "1,2,3,4", *more)):
        assert done.returncode == 0, done.stderr
        assert b"5.00000" in done.stdout and b"6.00000" in done.stdout
    large = vitrine(b"", "--history", "1234561,1234562,1234563,1234564", *more)
    assert b"1234565 " in large.stdout and b"e+" not in large.stdout
    for content, history in ((b"0,31\n0,58\n0,81\n0,95\n", "-"), (b"", "0,31 0,58 0,81 0,95"), (b"\xff\n", "-")):
        refused = vitrine(content, "--history", history, *more)
        assert refused.returncode == 1 and b"Traceback" not in refused.stderr
        assert b"is not a number" in refused.stderr


def test_vitrine_forecast_of_a_csv(served: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(newest_first(plain()), encoding="utf-16")
    done = vitrine(b"", "trend", "--csv", str(path), "--horizon", "2", "--url", served.url)
    assert done.returncode == 0, done.stderr
    assert (
        b"column Close, up to 2020-02-25" in done.stdout
        and b"step (day)" in done.stdout
        and b"mean, USD" in done.stdout
    )
    body = served.http.post("/v1/models/trend:forecast", json={"history": PRICES, "horizon": 2}).json()
    assert all(f"{value:.4g}".encode() in done.stdout for value in body["forecasts"][0]["mean"])
    path.write_text(table("Date,Close", lambda day, price: f"{day},{price}", MONTHS), encoding="utf-8")
    refused = vitrine(b"", "trend", "--csv", str(path), "--url", served.url)
    assert refused.returncode == 1
    assert b"has rows of one month, but the model's step is one day" in refused.stderr.replace(b"\n", b" ")
