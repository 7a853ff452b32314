"""One worker as the supervisor sees it."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping
from typing import Any, Self

from serving.gateway.workers.control_connection import ControlConnection, Handler
from serving.gateway.workers.supervisor_link import REPORT_SECONDS


class WorkerProcess:
    """A process, its control connection, and its latest reports."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.serving = False
        self.missed_heartbeats = 0  # in a row
        self.latest: dict[str, Any] = {}
        self._process = process
        self._connection: ControlConnection | None = None

    @classmethod
    async def start(cls, number: int, handlers: Mapping[str, Handler]) -> Self:
        """Start worker ``number``; it calls the ``handlers``.

        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "serving.gateway.workers.worker",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C reaches the supervisor alone, which passes it on
            )
        worker = cls(number, process)

        worker._connection = await ControlConnection.open(ours, handlers)
        return worker

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def run(self) -> int:
        """Answer the worker's calls until its process has ended; returns the exit code, negative for a signal."""
        assert self._connection is not None
        await self._connection.run()
        return await self._process.wait()

    async def report(self, kind: str) -> Any | None:
        """Ask for a report and keep it; None if the worker does not answer in time."""
        assert self._connection is not None
        try:
            report = await self._connection.call("report", kind, REPORT_SECONDS)
        except TimeoutError:
            return None
        self.latest[kind] = report
        return report

    def send_signal(self, number: int) -> None:
        """Send a signal if the process has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
