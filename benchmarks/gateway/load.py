"""The load: a process that keeps a number of connections busy and checks every response.

It competes with the servers for two cores, so it does as little as possible: blocking sockets with one epoll, requests
built beforehand, and responses checked after the measurement. It reports its own processor time.
"""

import base64
import gc
import json
import multiprocessing
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Literal, Protocol

_PATIENCE = 30.0  # seconds without any response, after which open requests count as errors


#: Body of a request: the PNG, TensorFlow Serving's JSON, or the Open Inference Protocol's JSON.
Form = Literal["picture", "instances", "inputs"]


@dataclass(frozen=True)
class Target:
    """Port, path and request form of a server."""

    port: int
    path: str
    form: Form = "picture"

    def picture(self, png: bytes) -> bytes:
        """Return a request with one PNG."""
        match self.form:
            case "picture":
                return self.request(png, "image/png")
            case "instances":
                body = json.dumps({"instances": [{"b64": _base64(png)}]}).encode()
            case "inputs":
                tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [_base64(png)]}
                body = json.dumps({"inputs": [tensor]}).encode()
        return self.request(body, "application/json")

    def request(self, body: bytes, content_type: str, more: str = "") -> bytes:
        """Return a POST request. ``more`` are headers, each with its line end."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {content_type}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Question(Protocol):
    """A request to repeat, and its correct response."""

    def request(self, target: Target) -> bytes: ...

    def check(self, body: bytes) -> str:
        """Say what is wrong with a response body. Empty if it is correct."""
        ...


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


class Load:
    """Controls the process of :func:`running`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def apply(self, target: Target, connections: int, seconds: float) -> Slice:
        """Keep ``connections`` requests open for ``seconds``, then wait for the last responses."""
        self._pipe.send((target, connections, seconds))
        result: Slice = self._pipe.recv()
        return result


@contextmanager
def running(questions: Sequence[Question]) -> Iterator[Load]:
    """Run the load's process."""
    context = multiprocessing.get_context("spawn")
    pipe, child_pipe = context.Pipe()
    process = context.Process(target=_work, args=(child_pipe, questions), daemon=True)
    process.start()
    child_pipe.close()
    try:
        yield Load(pipe)
    finally:
        process.terminate()
        process.join()


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _work(pipe: Connection, questions: Sequence[Question]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    gc.disable()
    while True:
        try:
            target, connections, seconds = pipe.recv()
        except EOFError:
            return
        requests = [question.request(target) for question in questions]
        result, answers = _apply(target.port, requests, connections, seconds)
        for index, body in answers:
            if complaint := questions[index].check(body):
                result.wrong += 1
                result.complaint = complaint
        pipe.send(result)


class _Caller:
    """One connection and its open request."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.index = 0
        self.sent = 0.0
        self.received = b""


def _apply(
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
            events = poll.poll(_PATIENCE)
            if not events:
                result.errors += len(callers)
                result.complaint = f"no response within {_PATIENCE:.0f} s"
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


def parse_response(received: bytes) -> tuple[int, bytes | None]:
    """Parse the status and the body. The body is None while it is incomplete.

    Raises:
        ValueError: The bytes are not HTTP, or Content-Length is missing.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0, None
    head = received[:end].lower()
    position = head.find(b"content-length:")
    if position < 0:
        raise ValueError(f"the response has no Content-Length: {head[:200]!r}")
    length = int(head[position + 15 :].split(b"\r\n", 1)[0])
    complete = len(received) >= end + 4 + length
    return int(head[9:12]), received[end + 4 : end + 4 + length] if complete else None


def post_once(target: Target, question: Question) -> str:
    """Send one request and say what is wrong with the response. Empty if it is correct."""
    caller = _Caller(target.port)
    with caller.socket as connection:
        connection.sendall(question.request(target))
        while data := connection.recv(262_144):
            caller.received += data
            status, body = parse_response(caller.received)
            if body is not None:
                return question.check(body) if status == 200 else f"status {status}: {body[:200]!r}"
    return "the connection was closed"
