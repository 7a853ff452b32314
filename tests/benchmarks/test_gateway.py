"""The benchmark of the gateway measures closed and open loops, and publishes a table and a picture."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.gateway.__main__ import BEGIN, END, arguments, publish
from benchmarks.gateway.closed_loop import Slice
from benchmarks.gateway.figures import Cell, figures
from benchmarks.gateway.open_loop import Arrivals
from benchmarks.gateway.report import Report, table

REPOSITORY = Path(__file__).parents[2]
LOADS = ["16 callers", "1,000 arrivals"]


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "benchmarks.gateway", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_measures_saves_and_publishes(tmp_path: Path) -> None:
    chosen = ["--peers=onnxruntime", "--servers", "onnxruntime", "--loads", *LOADS, "--seconds=.15"]
    done = bench(tmp_path, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    report = Report.read(tmp_path / "benchmarks/results/gateway.json")
    assert list(report.cells) == ["FastAPI + onnxruntime", "FastAPI + onnxruntime, 2 workers"]
    for row in report.cells.values():
        assert set(row) >= {"16 callers", "1,000 arrivals/s", "640×480 photo, 16 callers"}
        assert all(found.responses and not found.wrong for found in row.values())
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{BEGIN}stale\n{END}after\n")
    publish(report, page)
    publish(report, page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n![") and text.endswith(f"{END}after\n") and "stale" not in text
    assert "| 1,000 arrivals/s: answered within 100 ms (p99 ms) |" in text
    ElementTree.fromstring((tmp_path / "benchmarks.svg").read_text())
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks the line"):
        publish(report, page)


def test_unanswered_arrivals_count() -> None:
    arrivals = Arrivals(100, 1.0, accepted=[(0, 0.01)] * 97 + [(0, 0.5)], refused=[(0, 0.001)], given_up=[0.5])
    cell = Cell()
    cell.add(arrivals, 0.2, Slice())
    found = figures(cell)
    assert (
        found.responses == 98 and found.in_time == 0.97 and found.p50 == 10.0 and found.p99 is None and not found.errors
    )
    report = Report({}, {}, {"one": {"4,000 arrivals/s": found}}, {"one": {"": 1.0}}, {"one": 1.0}, {})
    assert table(report)[1] == ["4,000 arrivals/s: answered within 100 ms (p99 ms)", "97.0% (–)"]
    assert report.clean


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--peers=kserv", "there is no kserv"),
        ("--seconds=0", "--seconds is 0"),
        ("--from=absent.json", "absent.json does not exist"),
    ],
)
def test_refuses_wrong_options(option: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments([option])
    assert message in capsys.readouterr().err
