"""Dynamic batching without a timer: merge the requests that are waiting.

Requests for the same model version, signature and row shape go to the model server as one call. A call starts as soon
as one of a few slots is free, with the requests that wait by then. With many requests under way a call takes only a
share of their rows, so that the next rows are decoded and the last responses written while it runs: calls that took all
rows gave 4,500 requests a second from 64 clients instead of 6,000. The limits count rows, not requests.

If the model refuses a merged call, each request is sent again by itself, so that no request fails because of another.
The queue is bounded by rows. A request that cannot meet its deadline is rejected at once, judged by the rows ahead of
it and the time that calls take. See docs/decisions/batching-without-a-timer.md.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from serving.gateway.backends.base import Arrays, Metadata, Outputs
from serving.gateway.errors import BadTensor, BadUpstream, Overloaded
from serving.gateway.models.signature import Signature
from serving.gateway.observability.tracing import Trace

_NEWEST_WEIGHT = 0.2  # EWMA weight of the newest call's time
_FEWEST_ROWS = 16  # a call may always take this many rows
_SHARES = 4  # keeps gateway and model server busy at the same time

#: ``ModelServer.predict`` for one signature: parts, deadline, trace metadata.
Predict = Callable[[Sequence[Arrays], float, Metadata | None], Awaitable[Outputs]]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits for one signature.

    Attributes:
        rows: most rows of one call, unless a single request has more.
        waiting: most rows in the queue.
        calls: calls that run at the same time.
        shares: a call takes at most one of this many equal shares of the rows under way, if they are many. More than
            one share keeps the gateway busy while a model server in another process runs a call; in one process, one
            share gives the largest and cheapest calls.
    """

    rows: int
    waiting: int
    calls: int
    shares: int = _SHARES


class RowsDiffer(BadUpstream):
    """An output has another number of rows than the inputs."""


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """Rows of one request and the future of its outputs. ``since`` is the start of waiting by the performance counter.

    ``queued`` becomes false when a call takes the request.
    """

    arrays: Arrays
    rows: int
    deadline: float
    future: asyncio.Future[Outputs]
    since: float = 0.0
    trace: Trace | None = None
    queued: bool = True


def take_batch(queue: deque[QueuedRequest], max_rows: int) -> tuple[list[QueuedRequest], int]:
    """Remove the next batch from a queue: at least one request, and as many as fit, in order.

    Returns:
        The batch without cancelled requests, and the number of rows removed, with theirs.
    """
    batch: list[QueuedRequest] = []
    rows = cancelled = 0
    while queue:
        request = queue[0]
        if request.future.done():
            cancelled += request.rows
        else:
            if batch and rows + request.rows > max_rows:
                break
            batch.append(request)
            rows += request.rows
        queue.popleft()
        request.queued = False
    return batch, rows + cancelled


def rows_per_call(rows: int, max_rows: int, shares: int = _SHARES) -> int:
    """The most rows that one call takes of ``rows`` under way."""
    return min(max(rows // shares, _FEWEST_ROWS), max_rows)


def expected_seconds(call_seconds: float, rows_ahead: int, rows_each: int, calls: int) -> float:
    """Return the expected time of a new request while all slots are taken, in seconds.

    A running call ends on average after half its time; the calls that wait go next, then its own.
    """
    return call_seconds * (1.5 + rows_ahead // rows_each / calls)


class DynamicBatcher:
    """Merges the requests for one signature of one model version into calls."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        predict: Predict,
        limits: BatchLimits,
        *,
        keeps_rows: bool = False,
        on_batch: Callable[[int, float], None] = lambda rows, seconds: None,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Create an empty batcher. Call it in a running event loop.

        Args:
            name: the model version, for messages.
            signature: the signature of all requests.
            predict: runs a call.
            limits: sizes of the calls and the queue.
            keeps_rows: whether the model card says that each input row gives one output row. Without that, a response
                with another number of rows is legitimate, and requests are merged only if outputs cannot depend on
                their neighbours.
            on_batch: receives rows and seconds of each call.
            on_wait: receives the seconds that each request waited.
        """
        self._name = name
        self._keeps_rows = keeps_rows
        self._merges = signature.batched if keeps_rows else signature.mergeable
        self._predict = predict
        self._limits = limits
        self._free = limits.calls
        self._rows_waiting = 0
        self._rows_running = 0
        self._call_seconds = 0.0
        self._on_batch = on_batch
        self._on_wait = on_wait
        self._queues: dict[Hashable, deque[QueuedRequest]] = {}
        self._dispatch_scheduled = False
        self._running: dict[asyncio.Task[None], Sequence[QueuedRequest]] = {}
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Whether no request waits and no call runs."""
        return not self._queues and not self._running

    async def submit(self, arrays: Arrays, rows: int, deadline: float, trace: Trace | None = None) -> Outputs:
        """Return the outputs for valid inputs.

        A cancelled request leaves the queue. A call is cancelled with the last of its requests.

        Args:
            arrays: inputs that fit the signature.
            rows: their number of rows.
            deadline: when the call ends at the latest, as a time of the event loop.
            trace: the request's trace.

        Raises:
            GatewayError: the call failed; see :class:`~serving.gateway.backends.base.ModelServer`.
            Overloaded: the queue is full, or too long for the deadline.
        """
        if not self._free or self._rows_waiting + rows > self._limits.waiting:
            self._check_queue(rows, deadline)
        self._rows_waiting += rows
        future: asyncio.Future[Outputs] = self._loop.create_future()
        request = QueuedRequest(arrays, rows, deadline, future, perf_counter(), trace)
        merges = self._merges and (len(arrays) == 1 or len({len(array) for array in arrays.values()}) == 1)
        key = tuple([array.shape[1:] for array in arrays.values()]) if merges else object()
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
        queue.append(request)
        if self._free and not self._dispatch_scheduled:
            # In the loop's next turn, so that requests that are ready in this turn join the call.
            self._dispatch_scheduled = True
            self._loop.call_soon(self._dispatch)
        try:
            return await future
        except asyncio.CancelledError:
            if request.queued:
                self._remove(key, request)
            else:
                self._cancel_call_of(request)
            raise

    def _remove(self, key: Hashable, request: QueuedRequest) -> None:
        queue = self._queues[key]
        queue.remove(request)
        self._rows_waiting -= request.rows
        if not queue:
            del self._queues[key]

    def _cancel_call_of(self, request: QueuedRequest) -> None:
        """Cancel a call whose requests are all cancelled."""
        for task, batch in self._running.items():
            if request in batch and all(other.future.done() for other in batch):
                task.cancel()

    @property
    def _rows_per_call(self) -> int:
        return rows_per_call(self._rows_waiting + self._rows_running, self._limits.rows, self._limits.shares)

    def _check_queue(self, rows: int, deadline: float) -> None:
        if self._rows_waiting + rows > self._limits.waiting and self._rows_waiting:
            raise Overloaded(
                f"{self._name} has {self._rows_waiting} rows waiting; {self._limits.waiting} are allowed. Try again",
                "queue",
            )
        if self._free:
            return  # a call starts in the loop's next turn
        needed = expected_seconds(self._call_seconds, self._rows_waiting, self._rows_per_call, self._limits.calls)
        left = deadline - self._loop.time()
        if needed > left:
            raise Overloaded(
                f"{self._name} needs about {needed:.2g} s with {self._rows_waiting} rows waiting, but the deadline is "
                f"in {max(left, 0):.2g} s; try again",
                "deadline",
            )

    def _dispatch(self) -> None:
        """Start calls while slots are free and requests wait."""
        self._dispatch_scheduled = False
        while self._free and self._queues:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            batch, removed = take_batch(queue, self._rows_per_call)
            self._rows_waiting -= removed
            if queue:
                self._queues[key] = queue  # behind the other shapes
            if batch:
                now = perf_counter()
                for request in batch:
                    self._on_wait(now - request.since)
                self._free -= 1
                rows = sum([request.rows for request in batch])
                self._rows_running += rows
                task = self._loop.create_task(self._send(batch, rows))
                self._running[task] = batch
                task.add_done_callback(partial(self._sent, rows))

    def _sent(self, rows: int, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._rows_running -= rows
        self._free += 1
        self._dispatch()

    async def _send(self, batch: Sequence[QueuedRequest], rows: int) -> None:
        started = perf_counter()
        try:
            await self._call(batch, rows)
        except (BadTensor, RowsDiffer) as error:
            if len(batch) == 1:
                _fail(batch, error)
            else:
                for request in batch:
                    if not request.future.done():
                        await self._send([request], request.rows)
        except asyncio.CancelledError:
            self._record(max(perf_counter() - started, self._call_seconds))  # it would have taken longer
            raise
        except Exception as error:  # including defects: the requests must not wait forever
            _fail(batch, error)
        self._record(perf_counter() - started)

    def _record(self, seconds: float) -> None:
        """Update the moving average of a call's time."""
        self._call_seconds += (seconds - self._call_seconds) * _NEWEST_WEIGHT

    async def _call(self, batch: Sequence[QueuedRequest], rows: int) -> None:
        started = perf_counter()
        spans = [request.trace.call(request.since, started, rows, len(batch)) for request in batch if request.trace]
        try:
            outputs = await self._predict(
                [request.arrays for request in batch],
                max([request.deadline for request in batch]),
                spans[0].metadata if spans else None,
            )
        finally:
            for span in spans:
                span.end()
        if self._keeps_rows or len(batch) > 1:
            _check_rows(outputs, rows)
        self._on_batch(rows, perf_counter() - started)
        if len(batch) == 1:
            if not batch[0].future.done():
                batch[0].future.set_result(outputs)
            return
        first = 0
        for request in batch:
            last = first + request.rows
            if not request.future.done():
                request.future.set_result(outputs.rows(first, last))
            first = last


def _check_rows(outputs: Outputs, rows: int) -> None:
    for name, array in outputs.items():
        if not array.ndim or len(array) != rows:
            raise RowsDiffer(
                f"output {name} of the model server's response has shape {list(array.shape)}; {rows} rows were sent"
            )


def _fail(batch: Sequence[QueuedRequest], error: Exception) -> None:
    for request in batch:
        if not request.future.done():
            request.future.set_exception(copy.copy(error))  # a copy each, because raising extends the traceback
