"""One worker as the supervisor sees it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, Self

from serving.gateway.workers.control_connection import ControlConnection, Handler
from serving.gateway.workers.supervisor_link import REPORT_SECONDS


class WorkerProcess:
    """A process and its control connection.

    Attributes:
        number: from 1; a restarted worker has the number of its predecessor.
        serving: whether it accepts connections.
        latest: the last report of each kind.
        missed_heartbeats: unanswered heartbeats in a row.
    """

    def __init__(self, number: int, process: asyncio.subprocess.Process, connection: ControlConnection) -> None:
        self.number = number
        self.serving = False
        self.latest: dict[str, Any] = {}
        self.missed_heartbeats = 0
        self._process = process
        self._connection = connection

    @classmethod
    async def start(cls, number: int, handlers: Mapping[str, Handler]) -> Self:
        """Start worker ``number``; it calls the ``handlers``.

        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "serving.gateway.workers.worker",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # Ctrl-C reaches the supervisor alone, which passes it on
                )
            except OSError:
                ours.close()
                raise
        return cls(number, process, await ControlConnection.open(ours, handlers))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def run(self) -> int:
        """Answer the worker's calls until its process has ended; returns the exit code, negative for a signal."""
        await self._connection.run()
        return await self._process.wait()

    async def report(self, kind: str) -> Any | None:
        """Ask for a report and keep it; None if the worker does not answer in time."""
        try:
            report = await self._connection.call("report", kind, REPORT_SECONDS)
        except TimeoutError:
            return None
        self.latest[kind] = report
        return report

    def send_signal(self, number: int) -> None:
        """Send a signal if the process has not ended."""
        # Not Process.send_signal: it may reap the process, and asyncio then reports the exit code 255.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
