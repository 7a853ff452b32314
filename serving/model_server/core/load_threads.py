"""Threads that load versions. A load that hangs blocks no other.

Reading from a dead mount may never end, and a thread cannot be ended from outside.
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

_MOST_HANGING = 32


class Loads:
    """Runs loads, each in a thread of its own. To be used from one event loop."""

    def __init__(
        self,
        load: Callable[[Path], Servable],
        threads: int,
        *,
        hang_seconds: float = 60.0,
        on_hang: Callable[[Path], None] = lambda path: None,
    ) -> None:
        """Run at most ``threads`` loads at once.

        A load that takes ``hang_seconds`` is logged and reported to ``on_hang``. It no longer counts among the threads
        then, unless too many others hang.
        """
        self._load = load
        self._slots = asyncio.Semaphore(threads)
        self._hang_seconds = hang_seconds
        self._on_hang = on_hang
        self._hanging = 0

    def limit(self, threads: int) -> None:
        """Run at most so many of the next loads at once; those under way are not counted."""
        self._slots = asyncio.Semaphore(threads)

    async def run(self, path: Path) -> Servable:
        """Load a version; raises what the load raises.

        A load whose caller is cancelled goes on in its thread.
        """
        slots = self._slots
        await slots.acquire()
        load = _Load(path, slots.release)
        load.alarm = load.loop.call_later(self._hang_seconds, self._hangs, load)
        threading.Thread(target=self._work, args=(load,), name="load", daemon=True).start()
        return await asyncio.shield(load.result)

    def _work(self, load: "_Load") -> None:
        try:
            servable = self._load(load.path)
            end = functools.partial(load.result.set_result, servable)
        except BaseException as error:
            end = functools.partial(_fail, load.result, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            load.loop.call_soon_threadsafe(self._ended, load, end)

    def _hangs(self, load: "_Load") -> None:
        logger.warning(
            "Loading %s has taken %g s and is not complete. Other versions are loaded meanwhile; check the disk.",
            load.path,
            self._hang_seconds,
        )
        self._on_hang(load.path)
        if self._hanging < _MOST_HANGING:
            self._hanging += 1
            load.hangs = True
            load.release()

    def _ended(self, load: "_Load", end: Callable[[], None]) -> None:
        load.alarm.cancel()
        if load.hangs:
            self._hanging -= 1
        else:
            load.release()
        end()


class _Load:
    """A load under way."""

    alarm: asyncio.TimerHandle

    def __init__(self, path: Path, release: Callable[[], None]) -> None:
        self.path = path
        self.release = release
        self.loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Servable] = self.loop.create_future()
        self.hangs = False


def _fail(result: asyncio.Future[Servable], error: BaseException) -> None:
    result.set_exception(error)
    result.exception()  # else asyncio logs it if no caller waits
