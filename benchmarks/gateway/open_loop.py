"""An open loop: requests arrive at random times (a Poisson process), whether or not others were answered.

Each takes a free connection, or opens one if all responses that have come were read and none is free. Latencies count
from the arrival, connecting included.
"""

import errno
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from benchmarks.gateway.target import Question, Target, parse_response

_KEPT = 256  # connections at the start
_MAX_CONNECTIONS = 8_000
_READ_BYTES = 4_096  # at once; most responses are shorter

#: Requests a second and length in seconds, one after the other.
Phases = Sequence[tuple[float, float]]


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
        broken: other statuses and lost connections.
        wrong: responses with status 200 that fail the check.
        unsent: arrivals that found all connections taken.
        complaint: the last broken or wrong one.
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
    wrong: int = 0
    unsent: int = 0
    complaint: str = ""
    connections: int = 0
    client_cpu: float = 0.0

    @property
    def goodput(self) -> float:
        """Correct responses in a second."""
        return len(self.accepted) / self.seconds


def p99(of: Sequence[tuple[float, float]]) -> float:
    """Return the 99th percentile of the latencies, in milliseconds."""
    return float(np.quantile([latency for _, latency in of], 0.99) * 1000) if of else float("nan")


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
        number, cpu, may_open = 0, time.process_time(), not self._reuse
        self._started = started = clock()
        while True:
            now = clock() - started
            while number < len(times) and times[number] <= now and (self._idle or may_open):
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
            events = poll.poll(pause if pause > 0.0005 else 0)
            may_open = not (events and self._reuse)
            for descriptor, event in events:
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
                result.wrong += 1
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
        data = connection.socket.recv(_READ_BYTES)
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


def run(target: Target, questions: Sequence[Question], phases: Phases, timeout: float, reuse: bool) -> Arrivals:
    """Send the requests of all phases. The result's rate and length are the first phase's.

    Args:
        target: the server.
        questions: requests, in turn.
        phases: rates and lengths.
        timeout: seconds after which a request is given up and its connection closed.
        reuse: keep connections; otherwise each request opens one.
    """
    random = np.random.default_rng(0)
    starts = np.cumsum([0.0, *(seconds for _, seconds in phases)])
    times = [
        start + np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))
        for (rate, seconds), start in zip(phases, starts, strict=False)
    ]
    result = Arrivals(phases[0][0], phases[0][1])
    _OpenLoop(target, questions, np.concatenate(times), timeout, reuse).run(result, questions)
    return result
