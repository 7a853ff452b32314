"""Assign calls to batches: a queue of batches as a plain value, without threads or a clock.

Source: TensorFlow's shared_batch_scheduler.h, class Queue. The last batch is open, the others are closed. A call goes
into the open batch. If it does not fit, that batch is closed and a new one opens; with large-batch splitting the call
is cut instead. A closed batch may run at once, the open one when it is full or its first call has waited long enough.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.errors import invalid_argument, unavailable

Task = TypeVar("Task")


@dataclass(frozen=True)
class BatchPart(Generic[Task]):
    """Rows ``start`` to ``stop`` of a task: all of them unless the task was cut."""

    task: Task
    start: int
    stop: int


@dataclass
class Batch(Generic[Task]):
    """Parts that run together, in the order of arrival."""

    parts: list[BatchPart[Task]] = field(default_factory=list)
    rows: int = 0
    since: float = 0.0

    def add(self, part: BatchPart[Task], now: float) -> None:
        """Append a part."""
        if not self.parts:
            self.since = now
        self.parts.append(part)
        self.rows += part.stop - part.start


class BatchQueue(Generic[Task]):
    """Batches of one signature. Times are seconds of any clock."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._max_rows = parameters.batch_rows
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._batches: deque[Batch[Task]] = deque([Batch()])

    def schedule(self, task: Task, rows: int, now: float) -> int:
        """Add a task, and return the number of its parts.

        Raises:
            ServingError: INVALID_ARGUMENT for a task that is too large, UNAVAILABLE if the queue is full.
        """
        self._check(rows)
        sizes = [rows]
        room = self._max_rows - self._batches[-1].rows
        if self.parameters.enable_large_batch_splitting and rows > room:
            sizes = [room] if room else []
            sizes += [min(self._max_rows, rows - done) for done in range(room, rows, self._max_rows)]
        start = 0
        for size in sizes:
            if self._batches[-1].rows + size > self._max_rows:
                self._batches.append(Batch())
            self._batches[-1].add(BatchPart(task, start, start + size), now)
            start += size
        return len(sizes)

    def take(self, now: float) -> Batch[Task] | None:
        """Remove and return the next batch, or None if no batch may run yet."""
        if self.due() > now:
            return None
        if len(self._batches) == 1:
            self._batches.append(Batch())
        return self._batches.popleft()

    def due(self) -> float:
        """Return the time from which a batch may run; infinity without a batch."""
        first = self._batches[0]
        if len(self._batches) > 1 or first.rows >= self._max_rows:
            return float("-inf")
        return first.since + self._timeout if first.parts else float("inf")

    def _check(self, rows: int) -> None:
        limits, waiting, opened = self.parameters, len(self._batches), self._batches[-1].rows
        if rows > limits.max_batch_size:
            raise invalid_argument(f"Task size {rows} is larger than maximum input batch size {limits.max_batch_size}")
        if limits.enable_large_batch_splitting:
            capacity = (limits.max_enqueued_batches - waiting) * self._max_rows + self._max_rows - opened
            if rows > capacity:
                raise unavailable(
                    "The batch scheduling queue to which this task was submitted is full; task size is "
                    f"{rows} but scheduling capacity is only {capacity} (num_enqueued_batches={waiting}, "
                    f"max_enqueued_batches={limits.max_enqueued_batches}, open_batch_size={opened}, "
                    f"max_execution_batch_size={self._max_rows})"
                )
        elif opened + rows > self._max_rows and waiting >= max(limits.max_enqueued_batches, 1):
            raise unavailable(
                f"The batch scheduling queue to which this task was submitted is full; currently {waiting} "
                f"batches enqueued and max_enqueued_batches is {max(limits.max_enqueued_batches, 1)}"
            )
