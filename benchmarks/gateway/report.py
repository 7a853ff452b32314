"""The report of a run: JSON, and tables for the terminal or as Markdown for the README."""

import datetime
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gateway.figures import Figures, ratios
from benchmarks.gateway.servers import REPOSITORY

_PACKAGES = (
    "fastapi",
    "grpcio",
    "httptools",
    "keras",
    "numpy",
    "onnxruntime",
    "orjson",
    "pillow",
    "tensorflow",
    "uvicorn",
    "uvloop",
)

Grid = list[list[str]]


@dataclass(frozen=True)
class Report:
    """Results of a run. The first server of ``cells`` is ours."""

    machine: Mapping[str, Any]
    setting: Mapping[str, Any]
    cells: Mapping[str, Mapping[int, Figures]]
    memory: Mapping[str, Mapping[str, float]]
    cold_start: Mapping[str, float]
    absent: Mapping[str, str]  # reasons by server
    kinds: Mapping[str, Mapping[int, Figures]]  # other requests, to our server alone

    def as_dict(self) -> dict[str, Any]:
        ours, *others = self.cells
        return {
            "machine": dict(self.machine),
            "setting": dict(self.setting),
            "servers": {
                name: {
                    "cold_start_s": round(self.cold_start[name], 3),
                    "memory_mb": {part: round(size, 1) for part, size in self.memory[name].items()},
                    "concurrency": {str(number): row.as_dict() for number, row in rows.items()},
                }
                for name, rows in self.cells.items()
            },
            "times_requests_per_second": {
                name: {str(k): round(v, 3) for k, v in ratios(self.cells[ours], self.cells[name]).items()}
                for name in others
            },
            "other_requests": {
                name: {str(number): row.as_dict() for number, row in rows.items()} for name, rows in self.kinds.items()
            },
            "absent": dict(self.absent),
        }

    @property
    def clean(self) -> bool:
        """Whether all responses arrived and were correct."""
        return all(
            not (row.errors or row.wrong) and row.requests
            for rows in (*self.cells.values(), *self.kinds.values())
            for row in rows.values()
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


def tables(report: Report) -> dict[str, Grid]:
    """Return the tables by title. The first row is the head."""
    speed: Grid = [["at once", "server", "req/s", "p50 ms", "p99 ms", "CPU ms/req", "errors", "wrong", "client"]]
    ours, *others = report.cells
    for concurrency in report.cells[ours]:
        for name, rows in report.cells.items():
            speed.append([str(concurrency), name, *_columns(rows[concurrency])])
    kinds: Grid = [["request to Vitrine", "at once", *speed[0][2:]]]
    for name, rows in report.kinds.items():
        kinds += [[name, str(concurrency), *_columns(row)] for concurrency, row in rows.items()]
    size: Grid = [["server", "cold start s", "memory MB", "of which"]]
    for name, parts in report.memory.items():
        listed = ", ".join(f"{part} {number:.0f}" for part, number in parts.items()) if len(parts) > 1 else ""
        size.append([name, f"{report.cold_start[name]:.2f}", f"{sum(parts.values()):.0f}", listed])
    times: Grid = [[f"{ours}'s req/s relative to", *(f"at {number}" for number in report.cells[ours])]]
    for name in others:
        found = ratios(report.cells[ours], report.cells[name]).values()
        times.append([name, *(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}" for ratio in found)])
    return {"Speed": speed, "Other requests": kinds, "Start and size": size, "Ratios": times}


def _columns(row: Figures) -> list[str]:
    return [
        f"{row.per_second:,.0f}" if row.per_second >= 100 else f"{row.per_second:.1f}",
        f"{row.p50:.2f}",
        f"{row.p99:.2f}",
        f"{row.cpu_ms:.3f}",
        str(row.errors),
        str(row.wrong),
        f"{row.client_share:.0%}",
    ]


def show(report: Report, console: Console) -> None:
    """Print the tables and the complaint of each row."""
    for title, (head, *body) in tables(report).items():
        table = Table(title=title, title_justify="left")
        for name in head:
            table.add_column(name, justify="left" if name in ("server", "of which") or name == head[0] else "right")
        for number, row in enumerate(body):
            table.add_row(*row, end_section=title == "Speed" and (number + 1) % len(report.cells) == 0)
        console.print(table)
    for name, reason in report.absent.items():
        console.print(f"{name} is not in the tables: {reason}", style="yellow", markup=False)
    for name, rows in (*report.cells.items(), *report.kinds.items()):
        for concurrency, found in rows.items():
            if found.complaint:
                console.print(f"{name} at {concurrency}: {found.complaint}", style="red", markup=False)


def markdown(report: Report) -> str:
    """Return the tables as Markdown."""
    blocks = []
    for head, *body in tables(report).values():
        rule = ["---" if name in ("server", "of which") else "---:" for name in head]
        blocks.append("\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body)))
    return "\n\n".join(blocks) + "\n"
