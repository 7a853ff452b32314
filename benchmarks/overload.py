"""Measure the gateway above its capacity: an open loop, whose arrivals do not wait for responses.

    python -m benchmarks.overload [--seconds 30] [--rates 0.8 2 4] [--new-connections]

The gateway with its engine has one processor, the load another (--cpus). The peak is measured with 64 requests at once,
before and after each load, because a shared machine changes its speed: the peak of a load is the mean of the two.
Requests arrive at random times (a Poisson process) at 0.8, 2 and 4 times the peak before. Each takes a free connection,
or opens one; latencies count from the arrival, connecting included. A request without a response after --timeout
seconds is given up and its connection closed. Goodput is correct responses in a second. After each overload the load
falls to 0.8 of the peak; recovery is the time until all responses of 100 ms are accepted, with a p99 of at most three
times that at 0.8. With --new-connections each request has a connection of its own, and capacity is lower: the peak is
still that of kept connections.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import load, pictures, servers
from benchmarks.gateway.open_loop import Arrivals
from benchmarks.gateway.target import Target
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
_BIN = 0.1  # seconds

console = Console(width=130)


def recovery(result: Arrivals, limit: float) -> float:
    """Return the seconds from the end of the overload until responses are accepted in time again.

    Args:
        result: of an overload that is followed by a load below capacity.
        limit: milliseconds, of the 99th percentile in each bin.
    """
    last_bad = result.seconds
    late = [arrival for arrival, latency in result.accepted if latency * 1000 > limit]
    for start in np.arange(result.seconds, result.seconds + 5, _BIN):
        inside = [arrival for arrival, _ in result.accepted if start <= arrival < start + _BIN]
        slow = sum(start <= arrival < start + _BIN for arrival in late)
        lost = sum(
            start <= arrival < start + _BIN for arrival in (*(one for one, _ in result.refused), *result.given_up)
        )
        if lost or slow > 0.01 * len(inside):
            last_bad = float(start) + _BIN
    return last_bad - result.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.8, 2, 4], help="times the peak")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds after which a request is given up")
    parser.add_argument("--new-connections", action="store_true", help="a connection for each request")
    parser.add_argument("--cpus", type=int, nargs=2, default=[0, 1], help="the gateway's and the load's")
    parser.add_argument("--exports", type=Path, default=servers.REPOSITORY / "exports")
    parser.add_argument("--gateway", nargs="+", default=[], help="more of the gateway's flags")
    options = parser.parse_args()
    exports = options.exports.resolve()
    version = ModelRegistry(exports).live(MODEL)
    if version is None:
        console.print(f"{exports} has no version of {MODEL}. Train it first.")
        return 1
    questions, _ = pictures.load(exports / MODEL / str(version), 1000)
    server = servers.servers(exports, MODEL)[0]
    server.programs["gateway"].extend(options.gateway)  # type: ignore[index,union-attr]
    os.sched_setaffinity(0, {options.cpus[0]})  # the gateway inherits it
    with servers.running(server, questions[0]):
        os.sched_setaffinity(0, {options.cpus[1]})
        with load.running(questions) as sender:
            sender.apply(server.target, 64, 1)
            peaks = [_peak(sender, server.target, options.seconds)]
            results = []
            for rate in options.rates:
                phases = [(rate * peaks[-1], options.seconds), *([(0.8 * peaks[-1], 5.0)] if rate > 1 else [])]
                results.append(sender.arrive(server.target, phases, options.timeout, not options.new_connections))
                peaks.append(_peak(sender, server.target, options.seconds))
    _print(options.rates, peaks, results)
    return 0 if not any(result.broken or result.wrong for result in results) else 1


def _peak(sender: load.Sender, target: Target, seconds: float) -> float:
    """Return the responses in a second, with 64 requests at once."""
    found = sender.apply(target, 64, min(seconds, 5))
    return len(found.latencies) / found.seconds


def _print(rates: Sequence[float], peaks: Sequence[float], results: Sequence[Arrivals]) -> None:
    table = Table(title="Open loop")
    columns = "load,peak/s,sent/s,good/s,of peak,p50 ms,p99 ms,refused,p99 ms,given up,unsent,calm s,opened,client"
    for column in columns.split(","):
        table.add_column(column, justify="right")
    base = results[0]
    limit = 3 * base.p99(base.accepted)
    for index, (rate, result) in enumerate(zip(rates, results, strict=True)):
        peak = (peaks[index] + peaks[index + 1]) / 2
        accepted = [one for one in result.accepted if one[0] < result.seconds]
        table.add_row(
            f"{rate:g}",
            f"{peak:,.0f}",
            f"{result.rate:,.0f}",
            f"{len(accepted) / result.seconds:,.0f}",
            f"{len(accepted) / result.seconds / peak:.0%}",
            f"{1000 * float(np.median([latency for _, latency in accepted])):.1f}",
            f"{result.p99(accepted):.1f}",
            f"{len(result.refused) / result.seconds:,.0f}",
            f"{result.p99(result.refused):.1f}",
            f"{len(result.given_up) / result.seconds:,.0f}",
            f"{result.unsent / result.seconds:,.0f}",
            f"{recovery(result, limit):.1f}" if rate > 1 else "",
            f"{result.connections:,}",
            f"{result.client_cpu:.0%}",
        )
    console.print(table)
    for rate, result in zip(rates, results, strict=True):
        if result.broken or result.wrong or result.without_retry_after:
            console.print(
                f"at {rate:g}: {result.broken} broken and {result.wrong} wrong ({result.complaint}); "
                f"{result.without_retry_after} refusals without Retry-After"
            )


if __name__ == "__main__":
    raise SystemExit(main())
