"""The memory budget: how many bytes all requests together may hold.

It counts bodies, and what bodies become. A request reserves before it allocates. One that does not fit now gets 503,
one that never fits 413. A refused request gives back everything at once, so that of several large requests the last one
always fits. One caller's requests together hold at most its share; a caller's only request may be as large as the
budget.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from serving.gateway.errors import Overloaded, TooLarge

Made = TypeVar("Made")


class Stopped(Exception):
    """The request has ended while a thread still works on it.

    Its result is discarded.
    """


class MemoryBudget:
    """Bytes held by all requests, and the threads that do their long work."""

    def __init__(self, max_bytes: int, threads: Executor, max_share: float = 1) -> None:
        """``max_share`` is the largest part that several requests of one caller may hold."""
        self._max_bytes = max_bytes
        self._max_of_caller = int(max_bytes * max_share)
        self._of_caller: dict[str, int] = {}
        self._threads = threads
        self._lock = threading.Lock()
        self.held = 0

    def reservation(self, caller: str = "") -> "Reservation":
        """A new request's part of the budget, empty."""
        return Reservation(self, caller)

    def _take(self, holder: "Reservation", size: int) -> None:
        with self._lock:
            of_caller = self._of_caller.get(holder.caller, 0)
            over_share = of_caller + size > self._max_of_caller and of_caller > holder.held
            if self.held + size <= self._max_bytes and not over_share:
                self._add(holder, size)
                return
            needed = holder.held + size
            self._give_back(holder)
        if needed > self._max_bytes:
            raise TooLarge(
                f"the request needs {needed} bytes of memory when it is decoded, but at most {self._max_bytes} are "
                "available; send it as several smaller requests"
            )
        if over_share:
            raise Overloaded(f"the other requests of {holder.caller} hold its share of memory; try again", "share")
        raise Overloaded("the requests under way hold all memory that is available; try again", "body_bytes")

    def _give_back(self, holder: "Reservation", size: int | None = None) -> None:
        size = holder.held if size is None else min(size, holder.held)
        self._add(holder, -size)

    def _add(self, holder: "Reservation", size: int) -> None:
        holder.held += size
        self.held += size
        of_caller = self._of_caller.get(holder.caller, 0) + size
        if of_caller:
            self._of_caller[holder.caller] = of_caller
        else:
            self._of_caller.pop(holder.caller, None)


class Reservation:
    """One request's part of the budget.

    The request holds it, and so does each job in a thread: the bytes are given back when the last of them has ended,
    not when the client has its answer. Methods may be called from any thread.
    """

    __slots__ = ("_budget", "_stopped", "_users", "caller", "held")

    def __init__(self, budget: MemoryBudget, caller: str) -> None:
        self._budget = budget
        self.caller = caller
        self._stopped = False
        self._users = 1
        self.held = 0

    def hold(self, size: int) -> None:
        """Reserve this many bytes.

        Raises:
            Overloaded: they do not fit beside what other requests hold. TooLarge: they would not fit alone.
            Stopped: see :meth:`check`.
        """
        if self._stopped:
            raise Stopped
        self._budget._take(self, size)

    def release(self, size: int) -> None:
        """Give back this many bytes before the request ends."""
        with self._budget._lock:
            self._budget._give_back(self, size)

    def joined(self, pieces: list[bytes]) -> bytes:
        """The pieces, each reserved already, as one. The list is emptied."""
        if len(pieces) == 1:
            return pieces.pop()
        size = sum(map(len, pieces))
        self.hold(size)
        whole = b"".join(pieces)
        pieces.clear()
        self.release(size)
        return whole

    def check(self) -> None:
        """Called between the pieces of long work in a thread.

        Raises:
            Stopped: the request was cancelled, or its deadline is over.
        """
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Make the request's threads end at their next piece."""
        self._stopped = True

    def enter(self) -> None:
        """Add a holder; it calls :meth:`leave` once."""
        with self._budget._lock:
            self._users += 1

    def leave(self) -> None:
        """Remove a holder; the last one gives everything back."""
        with self._budget._lock:
            self._users -= 1
            if not self._users:
                self._stopped = True
                self._budget._give_back(self)

    async def run(self, function: Callable[..., Made], *arguments: Any) -> Made:
        """Call a function in a thread.

        If the caller is cancelled first, the function is never started; if it has started, the bytes stay held until it
        ends.
        """
        return await self._submitted(function, *arguments)  # in a variable here, it would be in a cycle with its error

    def _submitted(self, function: Callable[..., Made], *arguments: Any) -> asyncio.Future[Made]:
        self.enter()
        try:
            future: Future[Made] = self._budget._threads.submit(function, *arguments)
        except BaseException:
            self.leave()
            raise
        future.add_done_callback(self._left)
        return asyncio.wrap_future(future)

    def _left(self, future: "Future[Any]") -> None:
        self.leave()
