"""Measure whether the memory of the gateway and its model server grows under load.

    python -m benchmarks.soak [--minutes 10] [--connections 16]

The load alternates: half a second with ``--connections`` requests at once, half a second of pause. Requests and checks
are those of ``python -m benchmarks.gateway``. The gateway runs with metrics, drift, admission and its log. The program
prints resident memory once a minute. The first minute fills caches and arenas; growth is the slope of a line through
the later minutes. The exit code is 1 if a response was wrong or missing.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import load, pictures, servers
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
_HALF = 0.5  # seconds of load, and of pause

console = Console(width=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--exports", type=Path, default=servers.REPOSITORY / "exports")
    options = parser.parse_args()
    exports = options.exports.resolve()
    version = ModelRegistry(exports).live(MODEL)
    if version is None:
        console.print(f"{exports} has no version of {MODEL}. Train it first.")
        return 1
    requests, origin = pictures.load(exports / MODEL / str(version), 1000)
    console.print(f"{len(requests)} pictures, {origin}")
    ours = servers.servers(exports, MODEL, version)[0]
    with servers.running(ours, requests[0]) as running, load.running(requests) as driver:
        return soak(running, driver, options.minutes, options.connections)


def soak(running: servers.Running, driver: load.Load, minutes: int, connections: int) -> int:
    """Print a line each minute and a table at the end. Returns the exit code."""
    by_minute = [running.memory()]
    console.print(f"at the start: {_memory_text(by_minute[0])}")
    failures = 0
    for minute in range(1, minutes + 1):
        until = time.monotonic() + 60
        answered = errors = wrong = 0
        while time.monotonic() < until:
            part = driver.apply(running.server.target, connections, _HALF)
            answered += len(part.latencies)
            errors += part.errors
            wrong += part.wrong
            if part.complaint:
                console.print(part.complaint, style="red", markup=False)
            time.sleep(_HALF)
        by_minute.append(running.memory())
        failures += errors + wrong
        console.print(
            f"minute {minute}: {_memory_text(by_minute[-1])}; {answered:,} answers, {errors} errors, {wrong} wrong"
        )
    _show(by_minute)
    return 1 if failures else 0


def _memory_text(memory: dict[str, float]) -> str:
    return ", ".join(f"{name} {megabytes:.1f} MB" for name, megabytes in memory.items())


def _show(by_minute: list[dict[str, float]]) -> None:
    table = Table("program", "start", "after a minute", "end", "growth, MB an hour")
    for name in by_minute[0]:
        series = [memory[name] for memory in by_minute]
        later = series[1:]
        slope = f"{np.polyfit(range(len(later)), later, 1)[0] * 60:+.1f}" if len(later) > 2 else "too short to tell"
        table.add_row(name, *(f"{value:.1f}" for value in (series[0], series[1], series[-1])), slope)
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
