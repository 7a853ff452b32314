"""A worker's connection to the supervisor."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any, Literal, TypedDict

from serving.gateway.workers.control_connection import ControlConnection

#: The supervisor waits for a worker's report for this time, and a worker for the supervisor's answer for twice as long.
REPORT_SECONDS = 0.5
_CONFIGURATION_SECONDS = 30.0

#: ``starting``: has not served yet. ``restarting``: its process died. ``silent``: serves but does not answer in time.
WorkerState = Literal["starting", "serving", "silent", "restarting"]


class WorkerReport(TypedDict):
    """What one worker says of itself; a silent worker's report is its last one, None if none is known."""

    worker: int
    state: WorkerState
    report: Any


class Reports(TypedDict):
    """The reports of all workers, and what the supervisor adds to them."""

    workers: list[WorkerReport]
    supervisor: Any


class SupervisorLink:
    """Asks for the reports of all workers, and answers for this one."""

    def __init__(self, end: socket.socket) -> None:
        self.worker = 0
        self._end = end
        self._sources: dict[str, Callable[[], Any]] = {}
        self._connection: ControlConnection | None = None

    async def open(self) -> dict[str, Any]:
        """Connect; returns the settings of this worker.

        Raises:
            TimeoutError: the supervisor does not answer.
        """
        self._connection = await ControlConnection.open(self._end, {"report": self._report})
        self._task = asyncio.create_task(self._run(self._connection))
        found = await self._connection.call("configuration", None, _CONFIGURATION_SECONDS)
        self.worker = found["worker"]
        settings: dict[str, Any] = found["settings"]
        return settings

    def answer_with(self, kind: str, source: Callable[[], Any]) -> None:
        """Set where this worker's reports of a kind come from: a function that returns JSON values."""
        self._sources[kind] = source

    async def reports(self, kind: str) -> Reports:
        """The reports of all workers, this one included.

        Raises:
            TimeoutError: the supervisor does not answer.
        """
        return await self._call("reports", kind)  # type: ignore[no-any-return]

    async def hit(self, rate: str, counter: str) -> float | None:
        """Count a request for a rate limit of all workers; see ``rate_limits.RequestCounts``.

        Raises:
            TimeoutError: the supervisor does not answer.
        """
        return await self._call("hit", [rate, counter])  # type: ignore[no-any-return]

    async def report_serving(self) -> None:
        """Tell the supervisor that this worker accepts connections."""
        await self._call("serving", None)

    async def _call(self, method: str, argument: Any) -> Any:
        if self._connection is None:
            raise TimeoutError
        return await self._connection.call(method, argument, 2 * REPORT_SECONDS)

    async def _report(self, kind: str) -> Any:
        return self._sources[kind]() if kind in self._sources else None

    async def _run(self, connection: ControlConnection) -> None:
        await connection.run()
        signal.raise_signal(signal.SIGINT)  # the supervisor has died: finish the requests under way and end
