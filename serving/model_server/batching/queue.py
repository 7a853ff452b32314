"""Which calls go into which batch: a queue of batches as a plain value, with neither threads nor clock.

Source: TensorFlow's shared_batch_scheduler.h, class Queue. The last batch is open and the others are closed. A call
goes into the open batch; where it does not fit, that is closed and a new one opened, or, with large-batch splitting,
the call is cut. A closed batch may run at once; the open one when it is full or its first call has waited long enough.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.errors import invalid_argument, unavailable

Task = TypeVar("Task")


@dataclass(frozen=True)
class BatchPart(Generic[Task]):
    """Rows ``start`` to ``stop`` of a task: all of them, unless it was cut."""

    task: Task
    start: int
    stop: int


@dataclass
class Batch(Generic[Task]):
    """Parts that run together, in the order in which they came."""

    parts: list[BatchPart[Task]] = field(default_factory=list)
    rows: int = 0
    since: float = 0.0

    def add(self, part: BatchPart[Task], now: float) -> None:
        if not self.parts:
            self.since = now
        self.parts.append(part)
        self.rows += part.stop - part.start


class BatchQueue(Generic[Task]):
    """See the module. Times are seconds of any one clock."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._most = parameters.batch_rows
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._batches: deque[Batch[Task]] = deque([Batch()])

    def schedule(self, task: Task, rows: int, now: float) -> int:
        """Put a task in; returns into how many parts it was cut.

        Raises:
            INVALID_ARGUMENT: it is larger than any may be.
            UNAVAILABLE: the queue is full.
        """
        self._check(rows)
        sizes = [rows]
        room = self._most - self._batches[-1].rows
        if self.parameters.enable_large_batch_splitting and rows > room:
            sizes = [room] if room else []
            sizes += [min(self._most, rows - done) for done in range(room, rows, self._most)]
        start = 0
        for size in sizes:
            if self._batches[-1].rows + size > self._most:
                self._batches.append(Batch())
            self._batches[-1].add(BatchPart(task, start, start + size), now)
            start += size
        return len(sizes)

    def take(self, now: float) -> Batch[Task] | None:
        """The batch that should run next, if one may by now."""
        if self.due() > now:
            return None
        if len(self._batches) == 1:
            self._batches.append(Batch())
        return self._batches.popleft()

    def due(self) -> float:
        """From when on a batch may run; infinity when there is none."""
        first = self._batches[0]
        if len(self._batches) > 1 or first.rows >= self._most:
            return float("-inf")
        return first.since + self._timeout if first.parts else float("inf")

    def _check(self, rows: int) -> None:
        limits, waiting, opened = self.parameters, len(self._batches), self._batches[-1].rows
        if rows > limits.max_batch_size:
            raise invalid_argument(f"Task size {rows} is larger than maximum input batch size {limits.max_batch_size}")
        if limits.enable_large_batch_splitting:
            capacity = (limits.max_enqueued_batches - waiting) * self._most + self._most - opened
            if rows > capacity:
                raise unavailable(
                    "The batch scheduling queue to which this task was submitted is full; task size is "
                    f"{rows} but scheduling capacity is only {capacity} (num_enqueued_batches={waiting}, "
                    f"max_enqueued_batches={limits.max_enqueued_batches}, open_batch_size={opened}, "
                    f"max_execution_batch_size={self._most})"
                )
        elif opened + rows > self._most and waiting >= max(limits.max_enqueued_batches, 1):
            raise unavailable(
                f"The batch scheduling queue to which this task was submitted is full; currently {waiting} "
                f"batches enqueued and max_enqueued_batches is {max(limits.max_enqueued_batches, 1)}"
            )
