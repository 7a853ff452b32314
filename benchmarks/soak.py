"""Run the gateway under load while its version changes every few seconds, and see whether anything grows.

    python -m benchmarks.soak [--minutes 30] [--connections 8] [--change-seconds 5]

A copy of the live version is published and promoted every ``--change-seconds``; all but the newest four are removed.
The load alternates: half a second with ``--connections`` requests at once, half a second of pause. Every response is
checked as in ``python -m benchmarks.gateway``. The gateway has metrics, drift, admission and its log.

The exit code is 1 if a response was wrong or missing, if memory differs by more than 5 % from its level after two
minutes, if descriptors grew, or if the 99th percentile of the last third exceeds that of the first by a fifth.
"""

import argparse
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import load, pictures, servers
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
_HALF = 0.5  # seconds of load, and of pause
_WARM_MINUTES = 2
_KEPT_VERSIONS = 4

console = Console(width=110)


@dataclass
class Minute:
    """What was seen in a minute. Memory in megabytes."""

    memory: float
    descriptors: int
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0
    versions: int = 0


class Publisher:
    """Publishes and promotes a copy of a version again and again, in a thread."""

    def __init__(self, exports: Path, seconds: float) -> None:
        self._registry = ModelRegistry(exports)
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.published = 0
        self.problem = ""

    def __enter__(self) -> "Publisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            start = time.monotonic()
            while not self._stop.wait(max(0, start + (self.published + 1) * self._seconds - time.monotonic())):
                self._change()
        except Exception as error:
            self.problem = f"the publisher stopped: {error}"

    def _change(self) -> None:
        live = self._registry.live(MODEL)
        assert live is not None
        with self._registry.staging(MODEL) as staged:
            shutil.copytree(self._registry.directory(MODEL, live), staged, dirs_exist_ok=True)
            version = self._registry.publish(MODEL, staged)
        self._registry.promote(MODEL, version)
        self.published += 1
        for old in sorted(self._registry.versions(MODEL))[:-_KEPT_VERSIONS]:
            shutil.rmtree(self._registry.directory(MODEL, old))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--change-seconds", type=float, default=5.0)
    parser.add_argument("--exports", type=Path, default=servers.REPOSITORY / "exports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder, "exports")
        shutil.copytree(options.exports, exports)
        version = ModelRegistry(exports).live(MODEL)
        if version is None:
            console.print(f"{options.exports} has no version of {MODEL}. Train it first.")
            return 1
        requests, origin = pictures.load(exports / MODEL / str(version), 1000)
        console.print(f"{len(requests)} pictures, {origin}")
        ours = servers.servers(exports, MODEL)[0]
        with (
            servers.running(ours, requests[0]) as running,
            load.running(requests) as driver,
            Publisher(exports, options.change_seconds) as publisher,
        ):
            minutes = [_minute(running, driver, options.connections, publisher) for _ in range(options.minutes)]
    return _report(minutes, publisher.problem)


def _minute(running: servers.Running, driver: load.Sender, connections: int, publisher: Publisher) -> Minute:
    until, published = time.monotonic() + 60, publisher.published
    minute = Minute(0, 0)
    while time.monotonic() < until:
        part = driver.apply(running.server.target, connections, _HALF)
        minute.latencies += part.latencies
        minute.errors += part.errors
        minute.wrong += part.wrong
        if part.complaint:
            console.print(part.complaint, style="red", markup=False)
        time.sleep(_HALF)
    minute.memory = sum(running.memory().values())
    minute.descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in running.pids.values())
    minute.versions = publisher.published - published
    console.print(
        f"{minute.memory:.1f} MB, {minute.descriptors} descriptors, {len(minute.latencies):,} responses in "
        f"{minute.versions} versions, p99 {_p99(minute.latencies):.1f} ms, {minute.errors} errors, {minute.wrong} wrong"
    )
    return minute


def _p99(latencies: list[float]) -> float:
    """Return milliseconds."""
    return float(np.quantile(latencies, 0.99) * 1000) if latencies else float("nan")


def _report(minutes: list[Minute], problem: str) -> int:
    """Print what grew, and return the exit code."""
    warm = minutes[min(_WARM_MINUTES, len(minutes)) - 1]
    third = max(1, len(minutes) // 3)
    first, last = ([second for one in part for second in one.latencies] for part in (minutes[:third], minutes[-third:]))
    largest = max(abs(one.memory / warm.memory - 1) for one in minutes[_WARM_MINUTES - 1 :] or minutes)
    grown = minutes[-1].descriptors - warm.descriptors
    bad = sum(one.errors + one.wrong for one in minutes)
    ratio = _p99(last) / _p99(first)
    table = Table("promise", "limit", "found")
    table.add_row("errors and wrong responses", "0", f"{bad} of {sum(len(one.latencies) for one in minutes):,}")
    table.add_row("memory from its level after two minutes", "5 %", f"{largest:.1%} of {warm.memory:.0f} MB")
    table.add_row("descriptors", "+0", f"{grown:+d}")
    table.add_row("p99 of the last third, to the first", "1.20", f"{ratio:.2f} ({_p99(first):.1f} ms)")
    table.add_row("versions published and promoted", "", f"{sum(one.versions for one in minutes):,} {problem}")
    console.print(table)
    return int(bool(bad or problem or largest > 0.05 or grown > 0 or ratio > 1.2))


if __name__ == "__main__":
    raise SystemExit(main())
