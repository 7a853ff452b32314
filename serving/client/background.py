"""An event loop in a thread of its own, for callers that have none.

Only asyncio can end a call at a given moment: the time-out of a blocking socket restarts with each byte.
"""

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from serving.client.errors import VitrineError

T = TypeVar("T")


class Background:
    """Runs coroutines for any thread, from the first one until :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; an interrupted caller cancels it.

        Raises:
            VitrineError: this is closed, or belongs to the process that this one was forked from.
        """
        with self._lock:
            if self._loop is None and not self._closed:
                self._start()
            if self._loop is None or not self._thread.is_alive():
                work.close()
                why = "the client is closed" if self._closed else "the client was made before a fork; make one after it"
                raise VitrineError(why, "closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise VitrineError("the client was closed during the call", "closed") from None
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel what runs, then run ``last``."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        if loop is None or not self._thread.is_alive():
            last.close()
            return
        asyncio.run_coroutine_threadsafe(_end(last), loop).result()
        self._finalizer()
        self._thread.join()

    def _start(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(loop,), name="vitrine-client", daemon=True)
        self._thread.start()
        self._finalizer = weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _end(last: Coroutine[Any, Any, None]) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await last
