"""Run coroutines in a background thread, for callers without an event loop.

asyncio can end a call at a deadline. The time-out of a blocking socket restarts with each byte.
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
    """An event loop in its own thread. It starts with the first call and is safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` and return its result. An exception in the waiting thread cancels it.

        Raises:
            VitrineError: The loop is closed, or was started before a fork.
        """
        with self._lock:
            if self._loop is None and not self._closed:
                self._start()
            if self._loop is None or not self._thread.is_alive():
                work.close()
                why = "it is closed" if self._closed else "its process has forked; create the client after the fork"
                raise VitrineError(f"the client cannot be used: {why}", "closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise VitrineError("the client was closed during the call", "closed") from None
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel all running work, run ``last`` and stop the thread."""
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
