"""Requests that wait at the same moment for the same signature and row shape go to the model server as one call.

There is no timer: a call leaves as soon as one of a few places is free, with what waits by then, but of many no more
than a share. While it is computed the next rows are decoded and the answers of the call before are written; with calls
that took all, model server and gateway would wait for each other by turns: 4,500 requests a second of 64 clients in
place of 6,000. Rows are counted, not requests. A merged call that the model refuses is repeated one by one, so that
nobody pays for a neighbour's input.

The queue is bounded by rows, and who could not be answered before the deadline, by what is ahead and how long calls
take, is not let into it.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from serving.gateway.backends.tf_serving.grpc_client import Metadata
from serving.gateway.backends.tf_serving.predict_codec import (
    Arrays,
    Outputs,
    RequestEncoder,
    RowsDiffer,
    decode_response,
)
from serving.gateway.errors import BadTensor, Overloaded
from serving.gateway.models.signature import Signature
from serving.gateway.observability.tracing import Trace

_NEWEST = 0.2  # what the last call counts in the time that calls take of late
_FEW = 16  # rows that a call may take however few are under way
_SHARES = 4  # else it takes at most one of so many

Predict = Callable[[bytes, float, Metadata | None], Awaitable[Any]]


@dataclass(slots=True, eq=False)
class Waiter:
    """One request's rows and the future that its answer goes to. ``since`` is when it began to wait, by the
    performance counter; ``waits`` whether it is in a queue still."""

    arrays: Arrays
    rows: int
    deadline: float
    future: "asyncio.Future[Outputs]"
    since: float = 0.0
    trace: Trace | None = None
    waits: bool = True


def take(waiting: deque[Waiter], max_rows: int) -> tuple[list[Waiter], int]:
    """Removes and returns those that go next: in order, as many as fit, at least one; who has left is passed over.
    Beside them, how many rows were removed in all."""
    batch: list[Waiter] = []
    rows = passed = 0
    while waiting:
        waiter = waiting[0]
        if waiter.future.done():
            passed += waiter.rows
        else:
            if batch and rows + waiter.rows > max_rows:
                break
            batch.append(waiter)
            rows += waiter.rows
        waiting.popleft()
        waiter.waits = False
    return batch, rows + passed


def share(rows: int, max_rows: int) -> int:
    """How many of the rows under way one call takes at most."""
    return min(max(rows // _SHARES, _FEW), max_rows)


def seconds_until_done(call_seconds: float, rows_ahead: int, rows_each: int, calls: int) -> float:
    """How long a request that finds every place taken will be under way: one of the calls under way ends on average
    after half its time, then go the calls that wait already, then its own."""
    return call_seconds * (1.5 + rows_ahead // rows_each / calls)


class DynamicBatcher:
    """The calls of one signature of one version."""

    def __init__(
        self,
        model: str,
        version: int,
        signature: Signature,
        predict: Predict,
        *,
        max_rows: int,
        max_waiting: int,
        calls: int,
        vouched: bool = False,
        on_batch: Callable[[int, float], None] = lambda rows, seconds: None,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """``max_waiting`` rows may wait; ``calls`` is the number of calls at the same time; ``on_batch`` hears of each
        with its rows and seconds, ``on_wait`` how long each request waited for its own.

        ``vouched`` is whether a model card says that rows go in and come out; without one, an answer of other rows is
        the model's way, and what cannot be split is not merged."""
        self._name = f"version {version} of model {model}"
        self._signature = signature
        self._vouched = vouched
        self._merges = signature.batched if vouched else signature.mergeable
        self._encoder = RequestEncoder(model, version, signature)
        self._predict = predict
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._calls = calls
        self._free = calls
        self._rows_waiting = 0
        self._rows_called = 0  # of the calls under way
        self._call_seconds = 0.0  # of late
        self._on_batch = on_batch
        self._on_wait = on_wait
        self._waiting: dict[Hashable, deque[Waiter]] = {}
        self._pump_scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._tasks

    async def submit(self, arrays: Arrays, rows: int, deadline: float, trace: Trace | None = None) -> Outputs:
        """The outputs for validated inputs. ``deadline``, a time of the event loop, bounds the call to the model
        server; who wants to wait no longer cancels, and drops out where the call has not left.

        Raises:
            GatewayError: what the call ended with, see ``upstream.py``. Overloaded: the queue is full, or so long that
                there would be no answer before the deadline.
        """
        if not self._free:
            self._check_queue(rows, deadline)
        self._rows_waiting += rows
        future: asyncio.Future[Outputs] = self._loop.create_future()
        waiter = Waiter(arrays, rows, deadline, future, perf_counter(), trace)
        merges = self._merges and (len(arrays) == 1 or len({len(array) for array in arrays.values()}) == 1)
        key = tuple([array.shape[1:] for array in arrays.values()]) if merges else object()
        queue = self._waiting.get(key)
        if queue is None:
            queue = self._waiting[key] = deque()
        queue.append(waiter)
        if self._free and not self._pump_scheduled:
            # In the loop's next turn, so that requests which are ready in this one travel along.
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)
        try:
            return await future
        except asyncio.CancelledError:
            if waiter.waits:
                self._leave(key, waiter)
            raise

    def _leave(self, key: Hashable, waiter: Waiter) -> None:
        """Who has hung up keeps nobody from waiting."""
        queue = self._waiting[key]
        queue.remove(waiter)
        self._rows_waiting -= waiter.rows
        if not queue:
            del self._waiting[key]

    @property
    def _share(self) -> int:
        return share(self._rows_waiting + self._rows_called, self._max_rows)

    def _check_queue(self, rows: int, deadline: float) -> None:
        if self._rows_waiting + rows > self._max_waiting and self._rows_waiting:
            raise Overloaded(
                f"{self._name} has {self._rows_waiting} rows waiting, as many as it may; try again", "queue"
            )
        needed = seconds_until_done(self._call_seconds, self._rows_waiting, self._share, self._calls)
        left = deadline - self._loop.time()
        if needed > left:
            raise Overloaded(
                f"{self._name} would need about {needed:.2g} s, by the {self._rows_waiting} rows that wait, "
                f"and {max(left, 0):.2g} s are left until the deadline; try again",
                "deadline",
            )

    def _pump(self) -> None:
        self._pump_scheduled = False
        while self._free and self._waiting:
            key = next(iter(self._waiting))
            queue = self._waiting.pop(key)
            batch, removed = take(queue, self._share)
            self._rows_waiting -= removed
            if queue:
                self._waiting[key] = queue  # behind the other shapes
            if batch:
                now = perf_counter()
                for waiter in batch:
                    self._on_wait(now - waiter.since)
                self._free -= 1
                rows = sum(waiter.rows for waiter in batch)
                self._rows_called += rows
                task = self._loop.create_task(self._send(batch))
                self._tasks.add(task)
                task.add_done_callback(partial(self._sent, rows))

    def _sent(self, rows: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._rows_called -= rows
        self._free += 1
        self._pump()

    async def _send(self, batch: Sequence[Waiter]) -> None:
        started = perf_counter()
        try:
            await self._call(batch)
        except (BadTensor, RowsDiffer) as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for waiter in batch:
                if not waiter.future.done():
                    await self._send([waiter])
        except Exception as error:  # a defect too: whoever waits must hear of it
            _fail(batch, error)
        finally:
            self._call_seconds += (perf_counter() - started - self._call_seconds) * _NEWEST

    async def _call(self, batch: Sequence[Waiter]) -> None:
        rows = sum(waiter.rows for waiter in batch)
        started = perf_counter()
        request = self._encoder.encode([waiter.arrays for waiter in batch])
        deadline = max(waiter.deadline for waiter in batch)
        traced = [waiter.trace.call(waiter.since, started, rows, len(batch)) for waiter in batch if waiter.trace]
        try:
            response = await self._predict(request, deadline, traced[0].metadata if traced else None)
        finally:
            for call in traced:
                call.end()
        outputs = decode_response(response, self._signature, rows if self._vouched or len(batch) > 1 else None)
        self._on_batch(rows, perf_counter() - started)
        if len(batch) == 1:
            if not batch[0].future.done():
                batch[0].future.set_result(outputs)
            return
        first = 0
        for waiter in batch:
            last = first + waiter.rows
            if not waiter.future.done():
                waiter.future.set_result(outputs.rows(first, last))
            first = last


def _fail(batch: Sequence[Waiter], error: Exception) -> None:
    for waiter in batch:
        if not waiter.future.done():
            waiter.future.set_exception(copy.copy(error))  # one each: a traceback grows where an error is raised
