"""The memory budget: bytes that all requests together may hold.

It counts request bodies and the decoded forms of them. A request reserves bytes before it allocates them. A request
that does not fit now gets 503, one that never fits gets 413. A rejected request releases all of its bytes at once, so
that the last of several large requests always fits. The requests of one caller together hold at most its share; a
caller's only request may be as large as the budget.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from serving.gateway.errors import Overloaded, TooLarge

T = TypeVar("T")


class Stopped(Exception):
    """The request has ended while a thread still works on it. The thread's result is discarded."""


class MemoryBudget:
    """Bytes held by all requests, and the threads that do their long work."""

    def __init__(self, max_bytes: int, threads: Executor, max_share: float = 1) -> None:
        """Create a budget.

        Args:
            max_bytes: limit of all requests.
            threads: runs :meth:`Reservation.run`.
            max_share: largest part that several requests of one caller may hold.
        """
        self._max_bytes = max_bytes
        self._max_of_caller = int(max_bytes * max_share)
        self._of_caller: dict[str, int] = {}
        self._threads = threads
        self._lock = threading.Lock()
        self.held = 0

    def reservation(self, caller: str = "") -> "Reservation":
        """Create the empty reservation of a new request."""
        return Reservation(self, caller)

    def _take(self, holder: "Reservation", size: int) -> None:
        with self._lock:
            total = self.held + size
            before = self._of_caller.get(holder.caller, 0)
            of_caller = before + size
            over_share = of_caller > self._max_of_caller and before > holder.held
            if total <= self._max_bytes and not over_share:
                holder.held += size
                self.held = total
                self._of_caller[holder.caller] = of_caller
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
        raise Overloaded("the requests in flight hold all available memory; try again", "body_bytes")

    def _give_back(self, holder: "Reservation", size: int | None = None) -> None:
        size = holder.held if size is None else min(size, holder.held)
        holder.held -= size
        self.held -= size
        of_caller = self._of_caller.get(holder.caller, 0) - size
        if of_caller:
            self._of_caller[holder.caller] = of_caller
        else:
            self._of_caller.pop(holder.caller, None)


class Reservation:
    """One request's part of the budget.

    The request holds it, and so does each job in a thread. The bytes are released when the last of them has ended, not
    when the client has its response. Methods are thread-safe.
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
            Overloaded: they do not fit beside the bytes of other requests.
            TooLarge: they would not fit alone.
            Stopped: see :meth:`check`.
        """
        if self._stopped:
            raise Stopped
        self._budget._take(self, size)

    def release(self, size: int) -> None:
        """Release this many bytes before the request ends."""
        with self._budget._lock:
            self._budget._give_back(self, size)

    def joined(self, pieces: list[bytes]) -> bytes:
        """Join reserved pieces, and clear the list."""
        if len(pieces) == 1:
            return pieces.pop()
        size = sum(map(len, pieces))
        self.hold(size)
        whole = b"".join(pieces)
        pieces.clear()
        self.release(size)
        return whole

    def check(self) -> None:
        """Check between the pieces of long work in a thread that the result is still needed.

        Raises:
            Stopped: the request was cancelled, or its deadline has passed.
        """
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Make the request's threads stop at their next check."""
        self._stopped = True

    def enter(self) -> None:
        """Add a holder, which calls :meth:`leave` once."""
        with self._budget._lock:
            self._users += 1

    def leave(self) -> None:
        """Remove a holder; the last one releases all bytes."""
        with self._budget._lock:
            self._users -= 1
            if not self._users:
                self._stopped = True
                self._budget._give_back(self)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread.

        A cancelled call that has not started never starts. If it has started, the bytes stay reserved until it ends.
        """
        return await self._submit(function, *arguments)  # a local variable would form a cycle with its exception

    def _submit(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        self.enter()
        try:
            future: Future[T] = self._budget._threads.submit(function, *arguments)
        except BaseException:
            self.leave()
            raise
        future.add_done_callback(self._left)
        return asyncio.wrap_future(future)

    def _left(self, future: "Future[Any]") -> None:
        self.leave()
