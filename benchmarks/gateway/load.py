"""The load: a process that sends requests, by a closed or an open loop, and checks every response afterwards."""

import gc
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

from benchmarks.gateway import closed_loop, open_loop
from benchmarks.gateway.closed_loop import Slice
from benchmarks.gateway.open_loop import Arrivals, Phases
from benchmarks.gateway.target import Question, Target


class Sender:
    """Controls the process of :func:`running`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def apply(self, target: Target, connections: int, seconds: float) -> Slice:
        """Keep ``connections`` requests open for ``seconds``, then wait for the last responses."""
        self._pipe.send((_closed, target, (connections, seconds)))
        result: Slice = self._pipe.recv()
        return result

    def arrive(self, target: Target, phases: Phases, timeout: float, reuse: bool = True) -> Arrivals:
        """Send requests at random times, whether or not others were answered; see :func:`.open_loop.run`."""
        self._pipe.send((open_loop.run, target, (phases, timeout, reuse)))
        result: Arrivals = self._pipe.recv()
        return result


@contextmanager
def running(questions: Sequence[Question]) -> Iterator[Sender]:
    """Run the load's process."""
    context = multiprocessing.get_context("spawn")
    pipe, child_pipe = context.Pipe()
    process = context.Process(target=_work, args=(child_pipe, questions), daemon=True)
    process.start()
    child_pipe.close()
    try:
        yield Sender(pipe)
    finally:
        process.terminate()
        process.join()


def _work(pipe: Connection, questions: Sequence[Question]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    gc.disable()
    while True:
        try:
            loop, target, arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(loop(target, questions, *arguments))


def _closed(target: Target, questions: Sequence[Question], connections: int, seconds: float) -> Slice:
    requests = [question.request(target) for question in questions]
    result, answers = closed_loop.run(target.port, requests, connections, seconds)
    for index, body in answers:
        if complaint := questions[index].check(body):
            result.wrong += 1
            result.complaint = complaint
    return result
