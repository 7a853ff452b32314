"""Runs calls in batches: the queues of all signatures, and the threads that they share.

Source: TensorFlow's shared_batch_scheduler.h and tensorflow_serving/batching/batching_session.cc. Every signature of
every version, for each choice of its outputs, has a queue of its own; the threads go round the queues and take a batch
from each that has one. All state belongs to the event loop. A batch that fails fails for all calls in it.

A batch that takes but a moment is run in the event loop itself, in place of a batch thread: on the processors that this
server is made for the way to a thread and back costs more.
"""

import asyncio
import functools
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from serving.model_server.batching import merging as batch_merging
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import Batch, BatchQueue
from serving.model_server.core.servable import MAX_SECONDS_IN_LOOP, Servable, SignatureCall
from serving.model_server.errors import unavailable
from serving.model_server.metrics import ServerMetrics
from serving.tfs_api.tensors import Array

#: What a call that is cancelled in the queue says; TensorFlow Serving has it for a deadline that passes there.
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
    """The calls that may be merged: those for one signature and the same outputs of it."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self.waiting: BatchQueue[_Task] = BatchQueue(parameters)
        self.is_listed = False


_Queues = dict[tuple[str, tuple[str, ...]], _Queue]


class Batcher:
    """See the module."""

    def __init__(self, threads: int, pool_name: str, metrics: ServerMetrics) -> None:
        """``threads`` batches run at the same time."""
        self._free = threads
        self._pool_name = pool_name
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=pool_name)
        self._queues: weakref.WeakKeyDictionary[Servable, _Queues] = weakref.WeakKeyDictionary()
        self._round: deque[_Queue] = deque()  # the queues that have calls
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, servable: Servable, parameters: BatchingParameters, call: SignatureCall) -> list[Array]:
        """The outputs of a call, in its order. A caller whose deadline passes cancels this; the CancelledError says
        STILL_WAITING where that is so.

        Raises:
            InvalidArgument: its inputs are no batch, or a larger one than may be.
            UNAVAILABLE: too many batches are waiting.
            ServingError: the batch failed.
        """
        rows = batch_merging.count_rows(call.inputs)
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
        return batch_merging.join([outputs for _, outputs in sorted(task.outputs.items())])

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
        """Start as many batches as there are threads for; come again when the next may start."""
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
        if all(part.task.done.done() for part in batch.parts):  # every caller has gone
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
        """The outputs of each part."""
        rows = parameters.padded(batch.rows)
        self._metrics.wrapped_run_count.add(())
        self._metrics.padding_size.of((str(rows),)).observe(rows - batch.rows)
        self._metrics.processed_batch_size.of(()).observe(rows)
        calls = [batch_merging.cut(part.task.call, part.start, part.stop) for part in batch.parts]
        return batch_merging.run(batch.parts[0].task.servable, parameters, calls)


def _end(batch: Batch[_Task], outputs: Sequence[list[Array]] = (), error: BaseException | None = None) -> None:
    """Give every task its outputs, or all of them the error; a task that was cut ends with its last part."""
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
