"""The load: a process of its own that keeps a number of connections busy and looks at every answer.

It must not be what is measured. On two cores it also takes from what it measures, so it does the least it can: blocking
sockets under one epoll, requests built beforehand, answers kept as they came and looked at when the clock has stopped.
Its own processor time is reported.
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

_PATIENCE = 30.0  # seconds without any answer, after which what is on its way counts as an error


#: How a picture is posted: as it is, in TensorFlow Serving's JSON, or in that of the Open Inference Protocol.
Form = Literal["picture", "instances", "inputs"]


@dataclass(frozen=True)
class Target:
    """Where pictures are posted to, and how."""

    port: int
    path: str
    form: Form = "picture"

    def picture(self, png: bytes) -> bytes:
        """The request with one PNG."""
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
        """A POST; ``more`` are headers, each with its end of line."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {content_type}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Question(Protocol):
    """What is sent again and again, and what a right answer to it is."""

    def request(self, target: Target) -> bytes: ...

    def check(self, body: bytes) -> str:
        """What is wrong with an answer; empty where nothing is."""
        ...


@dataclass
class Slice:
    """What came of one stretch of load. ``latencies`` are seconds of every answer with status 200; ``seconds`` reach
    from the first request to the last answer; ``errors`` are other statuses, broken answers and lost connections."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    errors: int = 0
    wrong: int = 0
    client_cpu: float = 0.0
    complaint: str = ""


class Load:
    """The process of :func:`running`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def apply(self, target: Target, connections: int, seconds: float) -> Slice:
        """Keep that many requests on their way for that long, then wait for the last answers."""
        self._pipe.send((target, connections, seconds))
        result: Slice = self._pipe.recv()
        return result


@contextmanager
def running(questions: Sequence[Question]) -> Iterator[Load]:
    """The load's process, from start to end."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_work, args=(its, questions), daemon=True)
    process.start()
    its.close()
    try:
        yield Load(ours)
    finally:
        process.terminate()
        process.join()


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _work(pipe: Connection, questions: Sequence[Question]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
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
    """One kept-alive connection and the request that is on its way there."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.index = 0
        self.sent = 0.0
        self.received = b""


def _apply(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[Slice, list[tuple[int, bytes]]]:
    """The stretch of load, and each answer's body with its picture's number, not looked at yet."""
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
        caller.socket.setblocking(True)  # epoll says when; a time-out would cost a system call each time
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
                result.complaint = f"no answer within {_PATIENCE:.0f} s"
                break
            for number, _ in events:
                caller = callers[number]
                try:
                    data = caller.socket.recv(262_144)
                    now = clock()
                    caller.received = caller.received + data if caller.received else data
                    status, body = _parse(caller.received)
                    if body is None:
                        if data:
                            continue
                        raise ConnectionError("the server closed the connection before its answer was complete")
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
    except OSError as error:  # the server no longer takes connections
        result.errors += 1
        result.complaint = str(error)
    finally:
        for number in list(callers):
            close(number)
        poll.close()
    result.seconds = last - started
    result.client_cpu = time.process_time() - cpu
    return result, answers


def _parse(received: bytes) -> tuple[int, bytes | None]:
    """Status, and the body once it is complete.

    Raises:
        ValueError: no HTTP, or without a Content-Length.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0, None
    head = received[:end].lower()
    place = head.find(b"content-length:")
    if place < 0:
        raise ValueError(f"an answer without Content-Length: {head[:200]!r}")
    length = int(head[place + 15 :].split(b"\r\n", 1)[0])
    complete = len(received) >= end + 4 + length
    return int(head[9:12]), received[end + 4 : end + 4 + length] if complete else None


def post_once(target: Target, question: Question) -> str:
    """What is wrong with one answer by itself; empty where it is good."""
    caller = _Caller(target.port)
    with caller.socket as connection:
        connection.sendall(question.request(target))
        while data := connection.recv(262_144):
            caller.received += data
            status, body = _parse(caller.received)
            if body is not None:
                return question.check(body) if status == 200 else f"status {status}: {body[:200]!r}"
    return "the connection was closed"
