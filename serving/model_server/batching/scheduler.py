"""Run calls in batches: the queues of all signatures, and the threads that they share.

Source: TensorFlow's shared_batch_scheduler.h and tensorflow_serving/batching/batching_session.cc. Each signature of a
version has a queue for each choice of outputs. The threads take batches from the queues in turn. All state belongs to
the event loop. A batch that fails fails for all its calls.

A short batch runs in the event loop, not in a batch thread: on few processors the thread switch costs more.
"""

import asyncio
import functools
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from serving.model_server.batching import merging
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import Batch, BatchQueue
from serving.model_server.core.servable import MAX_SECONDS_IN_LOOP, Servable, SignatureCall
from serving.model_server.errors import unavailable
from serving.model_server.metrics import ServerMetrics
from serving.tfs_api.tensors import Array

#: Argument of the CancelledError of a call in the queue: TensorFlow Serving's message for a deadline that passes there.
STILL_WAITING = "Run() timeout exceeded while waiting in batching queue"


@dataclass(eq=False)
class _Task:
    servable: Servable
    call: SignatureCall
    done: asyncio.Future[None]
    since: float
    parts_left: int = 0
    has_begun: bool = False
    outputs: dict[int, list[Array]] = field(default_factory=dict)  # by the first row of the part
    error: BaseException | None = None


class _Queue:
    """Calls that can be merged: those for the same outputs of one signature."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self.waiting: BatchQueue[_Task] = BatchQueue(parameters)
        self.is_listed = False


_Queues = dict[tuple[str, tuple[str, ...]], _Queue]


class Batcher:
    """Merges calls into batches and runs them."""

    def __init__(self, threads: int, pool_name: str, metrics: ServerMetrics) -> None:
        """Create a batcher that runs ``threads`` batches at the same time."""
        self._free = threads
        self._pool_name = pool_name
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=pool_name)
        self._queues: weakref.WeakKeyDictionary[Servable, _Queues] = weakref.WeakKeyDictionary()
        self._round: deque[_Queue] = deque()  # queues with calls
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, servable: Servable, parameters: BatchingParameters, call: SignatureCall) -> list[Array]:
        """Return the outputs of a call, in its order.

        A call that is cancelled in the queue raises CancelledError with STILL_WAITING.

        Raises:
            ServingError: INVALID_ARGUMENT for inputs that are no batch or a too large one, UNAVAILABLE if too many
                batches wait, or the error of the batch.
        """
        rows = merging.count_rows(call.inputs)
        loop = asyncio.get_running_loop()
        task = _Task(servable, call, loop.create_future(), loop.time())
        for _ in call.inputs:
            self._metrics.input_batch_size.of(()).observe(rows)
        queue = self._queue(servable, parameters, call)
        task.parts_left = queue.waiting.schedule(task, rows, task.since)
        if not queue.is_listed:
            queue.is_listed = True
            self._round.append(queue)
        if not self._woken:
            self._woken = True
            loop.call_soon(self._dispatch)
        try:
            await task.done
        except asyncio.CancelledError:
            raise asyncio.CancelledError(*(() if task.has_begun else (STILL_WAITING,))) from None
        return merging.join([outputs for _, outputs in sorted(task.outputs.items())])

    def close(self) -> None:
        """Start no more batches."""
        if self._timer:
            self._timer.cancel()
        self._round.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _queue(self, servable: Servable, parameters: BatchingParameters, call: SignatureCall) -> _Queue:
        queues = self._queues.setdefault(servable, {})
        key = call.signature.name, tuple(call.outputs)
        if key not in queues:
            queues[key] = _Queue(parameters)
        return queues[key]

    def _dispatch(self) -> None:
        """Start as many batches as threads are free, and schedule the next dispatch."""
        self._woken = False
        loop = asyncio.get_running_loop()
        while self._free and (found := self._next(loop.time())):
            self._start(loop, *found)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._free and self._round:
            self._timer = loop.call_at(min(queue.waiting.due() for queue in self._round), self._dispatch)

    def _next(self, now: float) -> tuple[_Queue, Batch[_Task]] | None:
        for _ in range(len(self._round)):
            queue = self._round.popleft()
            batch = queue.waiting.take(now)
            if queue.waiting.due() < float("inf"):
                self._round.append(queue)
            else:
                queue.is_listed = False
            if batch:
                return queue, batch
        return None

    def _start(self, loop: asyncio.AbstractEventLoop, queue: _Queue, batch: Batch[_Task]) -> None:
        now = loop.time()
        first = batch.parts[0].task
        for part in batch.parts:
            part.task.has_begun = True
            self._metrics.queuing_latency.of((self._pool_name,)).observe((now - part.task.since) * 1e6)
        if all(part.task.done.done() for part in batch.parts):  # every call was cancelled
            return
        run = functools.partial(self._run, queue.parameters, batch)
        if first.servable.expect(first.call.signature.name, batch.rows) < MAX_SECONDS_IN_LOOP:
            try:
                _end(batch, run())
            except Exception as error:
                _end(batch, error=error)
            return
        self._free -= 1
        loop.run_in_executor(self._pool, run).add_done_callback(functools.partial(self._ended, batch))

    def _ended(self, batch: Batch[_Task], future: asyncio.Future[list[list[Array]]]) -> None:
        self._free += 1
        if future.cancelled():
            _end(batch, error=unavailable("the model server is stopping"))
        elif error := future.exception():
            _end(batch, error=error)
        else:
            _end(batch, future.result())
        self._dispatch()

    def _run(self, parameters: BatchingParameters, batch: Batch[_Task]) -> list[list[Array]]:
        """Return the outputs of each part."""
        rows = parameters.padded(batch.rows)
        self._metrics.wrapped_run_count.add(())
        self._metrics.padding_size.of((str(rows),)).observe(rows - batch.rows)
        self._metrics.processed_batch_size.of(()).observe(rows)
        calls = [merging.cut(part.task.call, part.start, part.stop) for part in batch.parts]
        return merging.run(batch.parts[0].task.servable, parameters, calls)


def _end(batch: Batch[_Task], outputs: Sequence[list[Array]] = (), error: BaseException | None = None) -> None:
    """Give each task its outputs or the error. A task that was cut ends with its last part."""
    for number, part in enumerate(batch.parts):
        task = part.task
        task.parts_left -= 1
        task.error = task.error or error
        if error is None:
            task.outputs[part.start] = outputs[number]
        if task.parts_left or task.done.done():
            continue
        if task.error is None:
            task.done.set_result(None)
        else:
            task.done.set_exception(task.error)
