"""Measure the gateway above its capacity: an open loop, whose arrivals do not wait for responses.

    python -m benchmarks.overload [--seconds 30] [--repeat 3] [--rates 0.8 2 4] [--new-connections]

The gateway with its engine has one processor, the load another (--cpus). The peak is measured with 64 requests at once.
A shared machine changes its speed by a quarter within a minute, so each load is measured several times, with a peak
before and after it: the peak of a load is the mean of the two, and "of peak" is the mean of the repetitions. Requests
arrive at random times (a Poisson process) at 0.8, 2 and 4 times the peak before. Each takes a free connection, or opens
one; latencies count from the arrival, connecting included. A request without a response after --timeout seconds is
given up and its connection closed. Goodput is correct responses in a second. After each overload the load falls to 0.8
of the peak; recovery is the time until a second begins whose requests are all accepted, in each 100 ms with a p99 of
at most three times that at 0.8. With --new-connections each request has a connection of its own, and capacity is lower:
the peak is still that of kept connections.
"""

import argparse
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import load, pictures, servers
from benchmarks.gateway.open_loop import Arrivals, p99
from benchmarks.gateway.target import Target
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
_BIN = 0.1  # seconds
_CALM_SECONDS = 5.0  # after each overload

console = Console(width=140)


def recovery(result: Arrivals, limit: float) -> float:
    """Return the seconds from the end of the overload until, for a second, all is accepted in time again.

    Args:
        result: of an overload that is followed by five seconds below capacity.
        limit: milliseconds, of the 99th percentile in each bin.

    Returns:
        A multiple of a tenth of a second; NaN if there was no such second.
    """
    bins = np.arange(int(_CALM_SECONDS / _BIN) + 1) * _BIN + result.seconds
    all_of, _ = np.histogram([arrival for arrival, _ in result.accepted], bins)
    late, _ = np.histogram([arrival for arrival, latency in result.accepted if latency * 1000 > limit], bins)
    lost, _ = np.histogram([*(arrival for arrival, _ in result.refused), *result.given_up], bins)
    is_good = (lost == 0) & (late <= 0.01 * all_of)
    whole = np.flatnonzero(np.convolve(is_good, np.ones(round(1 / _BIN), int), "valid") == round(1 / _BIN))
    return float(whole[0] * _BIN) if len(whole) else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=3, help="how often all rates are measured")
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
            found = []
            for rate in options.rates * options.repeat:
                phases = [
                    (rate * peaks[-1], options.seconds),
                    *([(0.8 * peaks[-1], _CALM_SECONDS)] if rate > 1 else []),
                ]
                found.append(sender.arrive(server.target, phases, options.timeout, not options.new_connections))
                peaks.append(_peak(sender, server.target, options.seconds))
    _print(options.rates, peaks, found)
    return 0 if not any(one.broken or one.wrong for one in found) else 1


def _peak(sender: load.Sender, target: Target, seconds: float) -> float:
    """Return the responses in a second, with 64 requests at once."""
    found = sender.apply(target, 64, min(seconds, 5))
    return len(found.latencies) / found.seconds


def _print(rates: Sequence[float], peaks: Sequence[float], found: Sequence[Arrivals]) -> None:
    table = Table(title="Open loop")
    columns = (
        "load,peak/s,sent/s,good/s,of peak,lowest,p50 ms,p99 ms,refused,p99 ms,given up,unsent,calm s,opened,client"
    )
    for column in columns.split(","):
        table.add_column(column, justify="right")
    means = [(before + after) / 2 for before, after in itertools.pairwise(peaks)]
    limit = 3 * p99([one for result in found[:: len(rates)] for one in result.accepted])
    for index, rate in enumerate(rates):
        _add_row(table, rate, found[index :: len(rates)], np.array(means[index :: len(rates)]), limit)
    console.print(table)
    for rate, result in zip(itertools.cycle(rates), found, strict=False):
        if result.broken or result.wrong or result.without_retry_after:
            console.print(
                f"at {rate:g}: {result.broken} broken and {result.wrong} wrong ({result.complaint}); "
                f"{result.without_retry_after} refusals without Retry-After"
            )


def _add_row(table: Table, rate: float, results: Sequence[Arrivals], peak: np.ndarray, limit: float) -> None:
    """Add the means of a load's repetitions; percentiles are of all their requests."""
    accepted = [[one for one in result.accepted if one[0] < result.seconds] for result in results]
    refused = [one for result in results for one in result.refused]
    good = np.array([len(those) / result.seconds for those, result in zip(accepted, results, strict=True)])
    seconds = sum(result.seconds for result in results)
    latencies = [latency for those in accepted for _, latency in those]
    table.add_row(
        f"{rate:g}",
        f"{peak.mean():,.0f}",
        f"{np.mean([result.rate for result in results]):,.0f}",
        f"{good.mean():,.0f}",
        f"{(good / peak).mean():.0%}",
        f"{(good / peak).min():.0%}",
        f"{1000 * float(np.median(latencies)):.1f}",
        f"{1000 * float(np.quantile(latencies, 0.99)):.1f}",
        f"{len(refused) / seconds:,.0f}",
        f"{p99(refused):.1f}",
        f"{sum(len(result.given_up) for result in results) / seconds:,.0f}",
        f"{sum(result.unsent for result in results) / seconds:,.0f}",
        f"{np.max([recovery(result, limit) for result in results]):.1f}" if rate > 1 else "",
        f"{max(result.connections for result in results):,}",
        f"{np.mean([result.client_cpu for result in results]):.0%}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
