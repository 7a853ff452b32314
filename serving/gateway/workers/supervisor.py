"""The supervisor: starts the workers, restarts those that die, stops all of them.

It accepts no connections itself. A worker that dies is restarted after a back-off. If it dies before it serves, and no
other worker is alive, the program ends: the fault is then in the settings or the environment.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from serving.gateway.observability import logging as logs
from serving.gateway.settings import Settings
from serving.gateway.workers import limits, listening
from serving.gateway.workers.control_connection import Handler
from serving.gateway.workers.metric_snapshot import Family, Sample, cumulative, merge
from serving.gateway.workers.seen_ids import SeenIds
from serving.gateway.workers.supervisor_link import Reports, WorkerReport, WorkerState
from serving.gateway.workers.worker_process import WorkerProcess

if TYPE_CHECKING:
    from serving.gateway.http.rate_limits import RequestCounts

_HEARTBEAT_SECONDS = 2.0
_MAX_MISSED_HEARTBEATS = 5  # in a row, 12 s; then the worker is killed
_HEALTHY_SECONDS = 60.0  # a worker that ran this long is restarted without back-off
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 30.0
_KILL_MARGIN_SECONDS = 4.0  # after the drain and grace periods, for the rest of the shutdown

log = logging.getLogger("vitrine.workers")


class WorkersFailed(Exception):
    """No worker could serve."""


def run(settings: Settings, workers: int) -> int:
    """Serve with several workers until a signal comes. Return the exit code."""
    logs.set_up(settings.log_level, settings.log_format)
    reserved: list[socket.socket] = []
    try:
        for number in (settings.port, *filter(None, [settings.oip_grpc_port])):
            reserved += listening.reserve(settings.host, number)
    except OSError as error:
        listening.close(reserved)
        log.error("cannot listen on %s port %d: %s", settings.host, number, error.strerror or error)
        return 1
    port = reserved[0].getsockname()[1]
    try:
        return asyncio.run(Supervisor(settings.model_copy(update={"port": port}), workers).run())
    finally:
        listening.close(reserved)


def next_backoff(previous: float, lifetime: float) -> float:
    """Return the seconds to wait before a restart.

    Args:
        previous: the wait before the previous restart, in seconds.
        lifetime: how long the worker ran, in seconds.
    """
    if lifetime >= _HEALTHY_SECONDS:
        return 0.0
    return min(max(2 * previous, _FIRST_BACKOFF), _MAX_BACKOFF)


class Supervisor:
    """Keeps a number of workers alive."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self._settings = settings
        self._share = limits.share(settings, workers).model_dump(mode="json", exclude_unset=True)
        self._numbers = range(1, workers + 1)
        self._workers: dict[int, WorkerProcess] = {}
        self._ever_served: set[int] = set()
        self._stop = asyncio.Event()
        self._code = 0
        self._restarts = 0
        self._retired: list[Family] = []
        self._counts: RequestCounts | None = None
        self._seen = SeenIds()

    async def run(self) -> int:
        """Run until a signal comes or no worker can serve. Return the exit code."""
        shares = ", ".join(f"{name} {self._share[name]}" for name in limits.DIVIDED)
        log.info("starting %d workers, each with %s", len(self._numbers), shares)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_workers, number)
        heartbeat = asyncio.create_task(self._heartbeat())
        runs = [asyncio.create_task(self._run_and_restart(number)) for number in self._numbers]
        try:
            await asyncio.gather(*runs)
        except WorkersFailed as error:
            log.error("%s", error)
            self._code = 1
            self._stop_workers(signal.SIGTERM)
            await asyncio.gather(*runs, return_exceptions=True)
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)
        return self._code

    def _stop_workers(self, number: int) -> None:
        if not self._stop.is_set():
            self._stop.set()
            limit = self._settings.drain_seconds + self._settings.grace_seconds + _KILL_MARGIN_SECONDS
            asyncio.get_running_loop().call_later(limit, self._kill_all)
        for worker in self._workers.values():
            worker.send_signal(number)

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            log.error("worker %d (pid %d) did not stop in time and is killed", worker.number, worker.pid)
            worker.send_signal(signal.SIGKILL)

    async def _run_and_restart(self, number: int) -> None:
        """Run a worker, and restart it until the program stops.

        Raises:
            WorkersFailed: it ended before it served, and no other worker is alive.
        """
        backoff = 0.0
        while not self._stop.is_set():
            started = time.monotonic()
            served, how = await self._run_worker(number)
            if self._stop.is_set():
                return
            if not served and not self._workers:
                raise WorkersFailed(f"worker {number} {how} before it served; its log lines say why")
            backoff = next_backoff(backoff, time.monotonic() - started)
            log.error("worker %d %s; restart in %g s", number, how, backoff)
            self._restarts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff)

    async def _run_worker(self, number: int) -> tuple[bool, str]:
        """Run a worker until it ends. Return whether it served, and how it ended."""
        try:
            worker = self._workers[number] = await WorkerProcess.start(number, self._handlers(number))
        except OSError as error:
            return False, f"could not be started ({error})"
        if self._stop.is_set():
            worker.send_signal(signal.SIGTERM)
        code = await worker.run()
        self._retire(worker)
        if self._stop.is_set():
            self._code = self._code or int(code != 0 and worker.serving)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        return worker.serving, f"(pid {worker.pid}) ended with {how}"

    def _handlers(self, number: int) -> dict[str, Handler]:
        async def configuration(_: None) -> dict[str, Any]:
            return {"worker": number, "settings": self._share}

        async def serving(_: None) -> None:
            self._workers[number].serving = True
            self._ever_served.add(number)
            if all(worker.serving for worker in self._workers.values()) and len(self._workers) == len(self._numbers):
                pids = ", ".join(str(self._workers[number].pid) for number in self._numbers)
                log.info("%d workers serve on port %d: pids %s", len(self._numbers), self._settings.port, pids)

        async def new_ids(ids: list[str]) -> list[bool]:
            return self._seen.add(ids)

        handlers: dict[str, Handler] = {"configuration": configuration, "serving": serving, "new_ids": new_ids}
        return handlers | {"reports": self._reports, "hit": self._hit}

    async def _hit(self, request: tuple[str, str]) -> float | None:
        """Count a request for a rate limit: one storage for all workers."""
        if self._counts is None:
            from serving.gateway.http.rate_limits import StoredCounts  # takes 0.1 s, for rate limits only

            self._counts = StoredCounts("memory://")
        return await self._counts.hit(*request)

    def _retire(self, worker: WorkerProcess) -> None:
        """Keep the counters of a dead worker, so that the sums never fall."""
        del self._workers[worker.number]
        last = worker.latest.get("metrics")
        if last is not None:
            self._retired = merge([self._retired, cumulative(last["families"])])

    async def _heartbeat(self) -> None:
        """Request each worker's metrics: they outlive the worker, and a worker that hangs does not answer.

        Heartbeats are counted, not seconds: a pause of all processes together is not a worker's fault.
        """
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            serving = [worker for worker in self._workers.values() if worker.serving]
            reports = await asyncio.gather(*(worker.report("metrics") for worker in serving))
            for worker, report in zip(serving, reports, strict=True):
                missed = worker.missed_heartbeats = 0 if report is not None else worker.missed_heartbeats + 1
                if missed >= _MAX_MISSED_HEARTBEATS and not self._stop.is_set():
                    log.error("worker %d (pid %d) missed %d heartbeats", worker.number, worker.pid, missed)
                    worker.send_signal(signal.SIGKILL)

    async def _reports(self, kind: str) -> Reports:
        """Collect the reports of all workers for the one that answers a client."""
        serving = [worker for worker in self._workers.values() if worker.serving]
        answers = await asyncio.gather(*(worker.report(kind) for worker in serving))
        answered = {worker for worker, report in zip(serving, answers, strict=True) if report is not None}
        reports: list[WorkerReport] = []
        for number in self._numbers:
            worker = self._workers.get(number)  # a worker that has died meanwhile is not here: its counters are retired
            state: WorkerState = "restarting" if number in self._ever_served else "starting"
            if worker in serving:
                state = "serving" if worker in answered else "silent"
            latest = worker.latest.get(kind) if worker is not None else None
            reports.append({"worker": number, "state": state, "report": latest})
        return {"workers": reports, "supervisor": self._families(reports) if kind == "metrics" else None}

    def _families(self, reports: list[WorkerReport]) -> list[Family]:
        counts = Counter(report["state"] for report in reports)
        states: list[Sample] = [("vitrine_workers", {"state": state}, counts[state]) for state in get_args(WorkerState)]
        return [
            *self._retired,
            {"name": "vitrine_workers", "type": "gauge", "help": "Worker processes by state.", "samples": states},
            {
                "name": "vitrine_worker_restarts",
                "type": "counter",
                "help": "Restarts of worker processes.",
                "samples": [("vitrine_worker_restarts_total", {}, self._restarts)],
            },
        ]
