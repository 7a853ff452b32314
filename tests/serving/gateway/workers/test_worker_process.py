"""One worker process as the supervisor sees it, on asyncio's own event loop as there."""

import asyncio
import signal
import socket
import time

import pytest

from serving.gateway.workers.control_connection import ControlConnection
from serving.gateway.workers.worker_process import WorkerProcess
from tests.serving.gateway.workers.test_supervisor import is_alive


def test_a_signal_after_the_end_does_not_change_the_exit_code() -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_signal_after_the_end())


async def _signal_after_the_end() -> None:
    ours, theirs = socket.socketpair()
    connection = await ControlConnection.open(ours, {})
    with theirs:
        process = await asyncio.create_subprocess_exec("true", pass_fds=[theirs.fileno()])
    worker = WorkerProcess(1, process, connection)
    until = time.monotonic() + 20
    while is_alive(worker.pid):
        assert time.monotonic() < until  # does not yield to the event loop, which would notice the end
    worker.send_signal(signal.SIGTERM)
    assert await worker.run() == 0
    worker.send_signal(signal.SIGTERM)


def test_a_process_that_cannot_be_started_leaks_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner, pytest.raises(FileNotFoundError):
        runner.run(
            WorkerProcess.start(1, {})
        )  # a socket that is not closed would be a ResourceWarning, which fails the test
