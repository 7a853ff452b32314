"""Threads that load versions. A load that hangs does not block other loads.

A read from a dead mount may never end, and Python cannot stop a thread.
"""

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from serving.model_server.core.servable import Servable

logger = logging.getLogger(__name__)

_MAX_HANGING = 32


class LoadThreads:
    """Runs each load in its own thread. Use it from one event loop."""

    def __init__(
        self,
        load: Callable[[Path], Servable],
        threads: int,
        *,
        hang_seconds: float = 60.0,
        on_hang: Callable[[Path], None] = lambda path: None,
    ) -> None:
        """Run at most ``threads`` loads at the same time.

        A load that takes ``hang_seconds`` is logged and reported to ``on_hang``. It no longer counts towards the limit,
        unless 32 other loads hang.
        """
        self._load = load
        self._slots = asyncio.Semaphore(threads)
        self._hang_seconds = hang_seconds
        self._on_hang = on_hang
        self._hanging = 0

    def limit(self, threads: int) -> None:
        """Run at most ``threads`` of the next loads at the same time; running loads do not count."""
        self._slots = asyncio.Semaphore(threads)

    async def run(self, path: Path) -> Servable:
        """Load a version, and raise what its load raises.

        The thread of a load goes on after its caller is cancelled.
        """
        slots = self._slots
        await slots.acquire()
        load = _RunningLoad(path, slots.release)
        load.alarm = load.loop.call_later(self._hang_seconds, self._report_hang, load)
        threading.Thread(target=self._work, args=(load,), name="load", daemon=True).start()
        return await asyncio.shield(load.result)

    def _work(self, load: "_RunningLoad") -> None:
        try:
            servable = self._load(load.path)
            end = functools.partial(load.result.set_result, servable)
        except BaseException as error:
            end = functools.partial(_fail, load.result, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            load.loop.call_soon_threadsafe(self._end, load, end)

    def _report_hang(self, load: "_RunningLoad") -> None:
        logger.warning(
            "Loading %s has taken %g s and is not complete. Other versions are loaded meanwhile; check the disk.",
            load.path,
            self._hang_seconds,
        )
        self._on_hang(load.path)
        if self._hanging < _MAX_HANGING:
            self._hanging += 1
            load.hangs = True
            load.release()

    def _end(self, load: "_RunningLoad", end: Callable[[], None]) -> None:
        load.alarm.cancel()
        if load.hangs:
            self._hanging -= 1
        else:
            load.release()
        end()


class _RunningLoad:
    """A load in its thread."""

    alarm: asyncio.TimerHandle

    def __init__(self, path: Path, release: Callable[[], None]) -> None:
        self.path = path
        self.release = release
        self.loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Servable] = self.loop.create_future()
        self.hangs = False


def _fail(result: asyncio.Future[Servable], error: BaseException) -> None:
    result.set_exception(error)
    result.exception()  # prevents asyncio's log line if no caller waits
