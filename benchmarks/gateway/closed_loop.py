"""A closed loop: a number of callers, each of which sends its next request after a response.

It competes with the servers for two cores, so it does as little as possible: blocking sockets with one epoll, and
requests built beforehand. It reports its own processor time.
"""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle

from benchmarks.gateway.target import PATIENCE, parse_response


@dataclass
class Slice:
    """Results of one period of load.

    Attributes:
        latencies: Seconds of each response with status 200.
        seconds: Time from the first request to the last response.
        errors: Other statuses, broken responses and lost connections.
        wrong: Responses with status 200 that fail the check.
        client_cpu: Processor time of the load, in seconds.
        complaint: A description of the last error or wrong response.
    """

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    errors: int = 0
    wrong: int = 0
    client_cpu: float = 0.0
    complaint: str = ""


class _Caller:
    """One connection and its open request."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.index = 0
        self.sent = 0.0
        self.received = b""


def run(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[Slice, list[tuple[int, bytes]]]:
    """Run a period of load. Returns the results and the unchecked bodies, with the index of each request."""
    result, answers = Slice(), []
    poll, clock = select.epoll(), time.perf_counter
    callers: dict[int, _Caller] = {}
    numbers = cycle(range(len(requests)))

    def send(caller: _Caller) -> None:
        caller.index = next(numbers)
        caller.received = b""
        caller.sent = clock()
        caller.socket.sendall(requests[caller.index])

    def open_one() -> None:
        caller = _Caller(port)
        caller.socket.setblocking(True)  # epoll waits; a time-out would cost a system call for each read
        callers[caller.socket.fileno()] = caller
        poll.register(caller.socket, select.EPOLLIN)
        send(caller)

    def close(number: int) -> None:
        poll.unregister(number)
        callers.pop(number).socket.close()

    cpu, started = time.process_time(), clock()
    stop = started + seconds
    last = started
    try:
        for _ in range(connections):
            open_one()
        while callers:
            events = poll.poll(PATIENCE)
            if not events:
                result.errors += len(callers)
                result.complaint = f"no response within {PATIENCE:.0f} s"
                break
            for number, _ in events:
                caller = callers[number]
                try:
                    data = caller.socket.recv(262_144)
                    now = clock()
                    caller.received = caller.received + data if caller.received else data
                    status, body = parse_response(caller.received)
                    if body is None:
                        if data:
                            continue
                        raise ConnectionError("the server closed the connection before the response was complete")
                    last = now
                    if status == 200:
                        result.latencies.append(now - caller.sent)
                        answers.append((caller.index, body))
                    else:
                        result.errors += 1
                        result.complaint = f"status {status}: {body[:200]!r}"
                    if now >= stop:
                        close(number)
                    else:
                        send(caller)
                except (OSError, ValueError) as error:
                    result.errors += 1
                    result.complaint = str(error) or type(error).__name__
                    close(number)
                    if clock() < stop:
                        open_one()
    except OSError as error:  # the server no longer accepts connections
        result.errors += 1
        result.complaint = str(error)
    finally:
        for number in list(callers):
            close(number)
        poll.close()
    result.seconds = last - started
    result.client_cpu = time.process_time() - cpu
    return result, answers
