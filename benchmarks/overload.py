"""Measure the gateway above its capacity: an open loop, whose arrivals do not wait for responses.

    python -m benchmarks.overload [--seconds 30] [--rates 0.8 2 4] [--new-connections]

The gateway with its engine has one processor, the load another (--cpus). The peak is measured first, with 64 requests
at once. Then requests arrive at random times (a Poisson process) at 0.8, 2 and 4 times the peak. Each takes a free
connection, or opens one; latencies count from the arrival, connecting included. A request without a response after
--timeout seconds is given up and its connection closed. Goodput is correct responses in a second. After each overload
the load falls to 0.8 of the peak; recovery is the time until all responses of 100 ms are accepted, with a p99 of at
most three times that at 0.8. With --new-connections each request has a connection of its own, and capacity is lower.
"""

import argparse
import errno
import gc
import multiprocessing
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import load, pictures, servers
from benchmarks.gateway.load import Question, Target, parse_response
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
_KEPT = 256  # connections at the start
_MAX_CONNECTIONS = 8_000
_BIN = 0.1  # seconds

console = Console(width=110)


@dataclass
class Arrivals:
    """What became of the requests of an open loop.

    Attributes:
        rate: requests a second.
        seconds: length of the load.
        accepted: arrival and latency of each correct response, in seconds.
        refused: arrival and latency of each response with status 503.
        without_retry_after: refusals without the header Retry-After.
        given_up: arrivals of requests without a response in time.
        broken: other statuses, wrong responses and lost connections.
        unsent: arrivals that found all connections taken.
        complaint: the last of the broken ones.
        connections: connections opened.
        client_cpu: processor time of the load, as a share of one processor.
    """

    rate: float
    seconds: float
    accepted: list[tuple[float, float]] = field(default_factory=list)
    refused: list[tuple[float, float]] = field(default_factory=list)
    without_retry_after: int = 0
    given_up: list[float] = field(default_factory=list)
    broken: int = 0
    unsent: int = 0
    complaint: str = ""
    connections: int = 0
    client_cpu: float = 0.0

    def p99(self, of: Sequence[tuple[float, float]]) -> float:
        """Milliseconds."""
        return float(np.quantile([latency for _, latency in of], 0.99) * 1000) if of else float("nan")

    @property
    def goodput(self) -> float:
        """Correct responses in a second."""
        return len(self.accepted) / self.seconds


class _Connection:
    __slots__ = ("arrival", "descriptor", "index", "received", "request", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self.socket.fileno()
        self.arrival = 0.0
        self.index = -1
        self.request = b""  # while it waits for the connection
        self.received = b""
        with suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", port))


class _OpenLoop:
    """Sends requests at given times."""

    def __init__(
        self, target: Target, questions: Sequence[Question], times: np.ndarray, timeout: float, reuse: bool
    ) -> None:
        self._port = target.port
        self._requests = [question.request(target) for question in questions]
        if not reuse:
            self._requests = [one.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for one in self._requests]
        self._times = times.tolist()
        self._timeout = timeout
        self._reuse = reuse
        self._poll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[float, _Connection, int]] = deque()  # by arrival, to give up
        self._answers: list[tuple[float, float, int, bytes]] = []
        self._started = 0.0

    def run(self, result: Arrivals, questions: Sequence[Question]) -> None:
        """Send all requests and fill the result."""
        times, clock, poll = self._times, time.perf_counter, self._poll
        if self._reuse:
            self._open_idle(_KEPT)
        number, cpu = 0, time.process_time()
        self._started = started = clock()
        while True:
            now = clock() - started
            while number < len(times) and times[number] <= now:
                self._arrive(times[number], number % len(self._requests), result)
                number += 1
            while self._waiting and self._waiting[0][0] + self._timeout < now:
                arrival, connection, index = self._waiting.popleft()
                if connection.index == index and connection.arrival == arrival:
                    result.given_up.append(arrival)
                    self._close(connection)
            if number == len(times):
                while self._waiting and (self._waiting[0][1].arrival, self._waiting[0][1].index) != (
                    self._waiting[0][0],
                    self._waiting[0][2],
                ):
                    self._waiting.popleft()
                if not self._waiting:
                    break
            pause = min(times[number] - now, 0.01) if number < len(times) else 0.01
            for descriptor, event in poll.poll(pause if pause > 0.0005 else 0):
                connection = self._open[descriptor]
                try:
                    self._handle(connection, event, result)
                except (OSError, ValueError) as error:
                    if connection.index >= 0:
                        result.broken += 1
                        result.complaint = str(error) or type(error).__name__
                    self._close(connection)
        result.client_cpu = (time.process_time() - cpu) / (clock() - started)
        for connection in list(self._open.values()):
            self._close(connection)
        poll.close()
        for arrival, latency, index, body in self._answers:
            if complaint := questions[index].check(body):
                result.broken += 1
                result.complaint = complaint
            else:
                result.accepted.append((arrival, latency))

    def _open_idle(self, count: int) -> None:
        """Open connections before the first arrival."""
        for _ in range(count):
            connection = _Connection(self._port)
            connection.socket.setblocking(True)
            self._open[connection.descriptor] = connection
            self._idle.append(connection)
            time.sleep(0.001)
            connection.socket.setblocking(False)
            self._poll.register(connection.descriptor, select.EPOLLIN)

    def _arrive(self, arrival: float, index: int, result: Arrivals) -> None:
        if self._idle:
            connection = self._idle.pop()
        elif len(self._open) < _MAX_CONNECTIONS:
            connection = _Connection(self._port)
            result.connections += 1
            self._open[connection.descriptor] = connection
            self._poll.register(connection.descriptor, select.EPOLLIN | select.EPOLLOUT)
            connection.request = self._requests[index]
        else:
            result.unsent += 1
            return
        connection.arrival, connection.index = arrival, index
        self._waiting.append((arrival, connection, index))
        if not connection.request:
            self._send(connection, self._requests[index])

    def _send(self, connection: _Connection, request: bytes) -> None:
        connection.received = b""
        with suppress(BrokenPipeError, ConnectionResetError):  # the next event tells
            if connection.socket.send(request) != len(request):
                raise OSError(errno.EAGAIN, "the socket took a part of a request")

    def _handle(self, connection: _Connection, event: int, result: Arrivals) -> None:
        if connection.request and event & select.EPOLLOUT:
            request, connection.request = connection.request, b""
            self._poll.modify(connection.descriptor, select.EPOLLIN)
            self._send(connection, request)
            return
        data = connection.socket.recv(65_536)
        connection.received += data
        status, body = parse_response(connection.received)
        if body is None:
            if data:
                return
            if connection.index < 0:
                self._close(connection)
                return
            raise ConnectionError("the server closed the connection before the response was complete")
        latency = time.perf_counter() - self._started - connection.arrival
        if status == 200:
            self._answers.append((connection.arrival, latency, connection.index, body))
        elif status == 503:
            result.refused.append((connection.arrival, latency))
            result.without_retry_after += b"retry-after:" not in connection.received.lower()
        else:
            result.broken += 1
            result.complaint = f"status {status}: {body[:200]!r}"
        if self._reuse and b"connection: close" not in connection.received:
            connection.index, connection.received = -1, b""
            self._idle.append(connection)
        else:
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        if self._open.pop(connection.descriptor, None):
            connection.index = -1
            if connection in self._idle:
                self._idle.remove(connection)
            with suppress(OSError):
                self._poll.unregister(connection.descriptor)
            connection.socket.close()


def _work(
    pipe: Connection, target: Target, questions: Sequence[Question], cpu: int, timeout: float, reuse: bool
) -> None:
    """Run open loops in a process of its own: rates and lengths come, results go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, {cpu})
    gc.disable()
    random = np.random.default_rng(0)
    with suppress(EOFError):
        while True:
            phases: list[tuple[float, float]] = pipe.recv()
            starts = np.cumsum([0.0, *(seconds for _, seconds in phases)])
            times = [
                start + np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))
                for (rate, seconds), start in zip(phases, starts, strict=False)
            ]
            result = Arrivals(phases[0][0], phases[0][1])
            _OpenLoop(target, questions, np.concatenate(times), timeout, reuse).run(result, questions)
            pipe.send(result)


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
    server = servers.servers(exports, MODEL, version)[0]
    server.programs["gateway"].extend(options.gateway)  # type: ignore[index,union-attr]
    os.sched_setaffinity(0, {options.cpus[0]})  # the gateway inherits it
    with servers.running(server, questions[0]):
        os.sched_setaffinity(0, {options.cpus[1]})
        with load.running(questions) as closed:
            closed.apply(server.target, 64, 1)
            peak_slice = closed.apply(server.target, 64, min(options.seconds, 10))
        peak = len(peak_slice.latencies) / peak_slice.seconds
        console.print(f"peak with 64 at once: {peak:,.0f} requests a second")
        context = multiprocessing.get_context("spawn")
        pipe, child = context.Pipe()
        arguments = (child, server.target, questions, options.cpus[1], options.timeout, not options.new_connections)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        try:
            results = []
            for rate in options.rates:
                phases = [(rate * peak, options.seconds), *([(0.8 * peak, 5.0)] if rate > 1 else [])]
                pipe.send(phases)
                results.append(pipe.recv())
        finally:
            process.terminate()
            process.join()
    _print(options.rates, peak, results)
    return 0 if not any(result.broken for result in results) else 1


def _print(rates: Sequence[float], peak: float, results: Sequence[Arrivals]) -> None:
    table = Table(title="Open loop")
    columns = "load,arrivals,goodput,of peak,p50 ms,p99 ms,refused/s,p99 ms,given up,unsent,recovery,opened,client"
    for column in columns.split(","):
        table.add_column(column, justify="right")
    base = results[0]
    limit = 3 * base.p99(base.accepted)
    for rate, result in zip(rates, results, strict=True):
        accepted = [one for one in result.accepted if one[0] < result.seconds]
        table.add_row(
            f"{rate:g}",
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
        if result.broken or result.without_retry_after:
            console.print(
                f"at {rate:g}: {result.broken} broken ({result.complaint}); "
                f"{result.without_retry_after} refusals without Retry-After"
            )


if __name__ == "__main__":
    raise SystemExit(main())
