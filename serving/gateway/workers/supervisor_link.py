"""A worker's connection to the supervisor."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from serving.gateway.workers.control_connection import ControlConnection

#: Time limit of the supervisor for a worker's report. Workers wait twice as long for the supervisor.
REPORT_SECONDS = 0.5
_START_SECONDS = 30.0  # a worker that starts has time, and without the supervisor it would have to end

#: ``starting``: has not served yet. ``restarting``: its process died. ``silent``: serves but does not answer in time.
WorkerState = Literal["starting", "serving", "silent", "restarting"]


class WorkerReport(TypedDict):
    """One worker's state and report. A silent worker's report is its last one, or None."""

    worker: int
    state: WorkerState
    report: Any


class Reports(TypedDict):
    """The reports of all workers, and the supervisor's own metrics."""

    workers: list[WorkerReport]
    supervisor: Any


class SupervisorLink:
    """Requests the reports of all workers, and gives those of this one."""

    def __init__(self, end: socket.socket) -> None:
        self.worker = 0
        self._end = end
        self._sources: dict[str, Callable[[], Any]] = {}

    async def open(self) -> dict[str, Any]:
        """Connect, and return the settings of this worker.

        Raises:
            TimeoutError: the supervisor does not answer.
        """
        self._connection = await ControlConnection.open(self._end, {"report": self._report})
        self._task = asyncio.create_task(self._run())
        configuration = await self._call("configuration", None, _START_SECONDS)
        self.worker = configuration["worker"]
        settings: dict[str, Any] = configuration["settings"]
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

    async def new_ids(self, ids: Sequence[str]) -> list[bool]:
        """Remember ids of feedback for all workers; see :class:`serving.gateway.workers.seen_ids.SeenIds`.

        Raises:
            TimeoutError: the supervisor does not answer.
        """
        return await self._call("new_ids", ids)  # type: ignore[no-any-return]

    async def report_serving(self) -> None:
        """Tell the supervisor that this worker accepts connections."""
        await self._call("serving", None, _START_SECONDS)

    async def _call(self, method: str, argument: Any, seconds: float = 2 * REPORT_SECONDS) -> Any:
        return await self._connection.call(method, argument, seconds)

    async def _report(self, kind: str) -> Any:
        return self._sources[kind]() if kind in self._sources else None

    async def _run(self) -> None:
        await self._connection.run()
        signal.raise_signal(signal.SIGINT)  # the supervisor has died: finish the requests in flight and end
