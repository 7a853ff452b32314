"""The report of a run: JSON, and one table, for the terminal and as Markdown."""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gateway.figures import IN_TIME, LOADS, Figures, Load
from benchmarks.gateway.servers import REPOSITORY

_PACKAGES = ("fastapi", "httptools", "numpy", "onnxruntime", "orjson", "pillow", "uvicorn", "uvloop")
_LOADS = {load.title: load for load in LOADS}
CPU_LOAD = "64 callers"  # whose processor time the table and the picture show
BATCHES, PHOTOS = "128 pictures as npy, 4 callers", "640×480 photo, 16 callers"  # which the picture shows

Grid = list[list[str]]


@dataclass(frozen=True)
class Report:
    """Results of a run."""

    machine: Mapping[str, Any]
    setting: Mapping[str, Any]
    cells: Mapping[str, Mapping[str, Figures]]  # by server and title of the load
    memory: Mapping[str, Mapping[str, float]]  # MB by server and program
    cold_start: Mapping[str, float]  # seconds by server
    absent: Mapping[str, str]  # reasons by server

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        cells = {name: {load: found.as_dict() for load, found in row.items()} for name, row in self.cells.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.__dict__ | {"cells": cells}, indent=1, ensure_ascii=False) + "\n")

    @staticmethod
    def read(file: Path) -> "Report":
        """Read what :meth:`write` wrote."""
        document = json.loads(file.read_text())
        cells = {name: {load: Figures(**one) for load, one in row.items()} for name, row in document["cells"].items()}
        return Report(**document | {"cells": cells})

    @property
    def loads(self) -> list[Load]:
        """The measured loads, in the order of :data:`.LOADS`."""
        return [load for load in LOADS if any(load.title in row for row in self.cells.values())]

    @property
    def clean(self) -> bool:
        """Whether all responses were correct and, in closed loops, all arrived."""
        return all(
            not found.wrong and (_LOADS[load].rate or (found.responses and not found.errors))
            for row in self.cells.values()
            for load, found in row.items()
        )


def machine() -> dict[str, Any]:
    """Describe the machine and the packages, without names of the machine."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_average_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def table(report: Report) -> Grid:
    """Return the table: one column per server, one row per load. The first row is the head."""
    rows: Grid = [["", *report.cells]]
    for load in report.loads:
        unit = f"answered within {IN_TIME:.0f} ms" if load.rate else "requests/s"
        found = [row.get(load.title) for row in report.cells.values()]
        rows.append([f"{load.title}: {unit} (p99 ms)", *(_speed(one, load) for one in found)])
    at_64 = [row.get(CPU_LOAD) for row in report.cells.values()]
    cpu = [f"{one.cpu_ms:.2f}" if one and one.cpu_ms else "–" for one in at_64]
    rows.append([f"processor ms/request, {CPU_LOAD}", *cpu])
    rows.append(["memory MB", *(f"{sum(report.memory[name].values()):.0f}" for name in report.cells)])
    rows.append(["cold start s", *(f"{report.cold_start[name]:.1f}" for name in report.cells)])
    return rows


def _speed(found: Figures | None, load: Load) -> str:
    if found is None:
        return "–"
    value = f"{found.in_time:.1%}" if load.rate else _number(found.per_second)
    return f"{value} ({'–' if found.p99 is None else _number(found.p99)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def notes(report: Report) -> Iterator[str]:
    """Yield what is missing from the table, and what was wrong."""
    for name, reason in report.absent.items():
        yield f"{name} is not in the table: {reason}"
    for name, row in report.cells.items():
        for load, found in row.items():
            if found.errors or found.wrong:
                yield f"{name}, {load}: {found.errors} errors, {found.wrong} wrong responses ({found.complaint})"


def show(report: Report, console: Console) -> None:
    """Print the table and the notes."""
    (_, *names), *rows = table(report)
    shown = Table("", title="Gateway", title_justify="left")
    for name in names:
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    for note in notes(report):
        console.print(note, style="yellow", markup=False)


def markdown(report: Report) -> str:
    """Return the table as Markdown, with a line on the machine and the notes."""
    head, *rows = table(report)
    rule = ["---", *("---:" for _ in head[1:])]
    lines = ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]
    about = report.machine
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    lines += [
        "",
        f"Commit {about['commit']}, {about['date'][:10]}; {about['processor']}, {about['cores']} cores, "
        f"{about['memory_gb']} GB; Python {about['python']}, {packages}; {report.setting['pictures']} pictures "
        f"({report.setting['origin']}), {report.setting['seconds']:g} s a cell.",
    ]
    found = [f"- {note.splitlines()[0]}" for note in notes(report)]
    return "\n".join([*lines, *([""] if found else []), *found]) + "\n"
