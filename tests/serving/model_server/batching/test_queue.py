"""The queue of batches: order, sizes, times and limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import BatchQueue
from serving.model_server.errors import ServingError
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status

NEVER = 10**12  # microseconds: only full batches run


def parameters(**given: object) -> BatchingParameters:
    return BatchingParameters(**{"num_batch_threads": 1, **given})


@given(
    rows=st.lists(st.integers(0, 12), max_size=40),
    takes=st.lists(st.booleans(), max_size=60),
    splitting=st.booleans(),
    execution=st.integers(1, 12),
    enqueued=st.integers(1, 5),
)
def test_every_row_runs_once_in_order(
    rows: list[int], takes: list[bool], splitting: bool, execution: int, enqueued: int
) -> None:
    limits = parameters(
        max_batch_size=12,
        enable_large_batch_splitting=splitting,
        max_execution_batch_size=execution if splitting else 0,
        max_enqueued_batches=enqueued,
    )
    queue: BatchQueue[int] = BatchQueue(limits)
    batches, promised, accepted = [], {}, []
    for task, size in enumerate(rows):
        try:
            promised[task] = queue.schedule(task, size, now=0.0)
            accepted.append(task)
        except ServingError as error:
            assert error.code is Code.UNAVAILABLE
            assert len(accepted) > 0 or size > execution * enqueued
        if takes and takes.pop():
            batches.append(queue.take(now=0.0))
    while batch := queue.take(now=0.0):
        batches.append(batch)
    parts = [part for batch in batches if batch for part in batch.parts]
    assert all(batch.rows <= limits.batch_rows for batch in batches if batch)
    assert all(batch.rows == sum(part.stop - part.start for part in batch.parts) for batch in batches if batch)
    assert list(dict.fromkeys(part.task for part in parts)) == accepted
    for task in accepted:
        own = [part for part in parts if part.task == task]
        assert len(own) == promised[task]
        assert [part.start for part in own] == [0, *(part.stop for part in own[:-1])]
        assert own[-1].stop == rows[task]
        assert splitting or len(own) == 1
    assert queue.take(now=1e9) is None


def test_open_batch_waits_until_full_or_timeout() -> None:
    queue: BatchQueue[str] = BatchQueue(parameters(max_batch_size=4, batch_timeout_micros=1_000_000))
    assert queue.due() == float("inf")
    queue.schedule("a", 1, now=10.0)
    queue.schedule("b", 1, now=10.9)
    assert (queue.due(), queue.take(now=10.9)) == (11.0, None)
    queue.schedule("c", 2, now=10.95)
    batch = queue.take(now=10.95)
    assert batch is not None and [part.task for part in batch.parts] == ["a", "b", "c"]
    queue.schedule("d", 1, now=11.0)
    assert queue.take(now=11.5) is None
    assert queue.take(now=12.0) is not None


def test_call_that_does_not_fit_closes_the_open_batch() -> None:
    queue: BatchQueue[str] = BatchQueue(parameters(max_batch_size=4, batch_timeout_micros=NEVER))
    queue.schedule("a", 3, now=0.0)
    queue.schedule("b", 2, now=0.0)
    batch = queue.take(now=0.0)
    assert batch is not None and [part.task for part in batch.parts] == ["a"]
    assert queue.take(now=0.0) is None


def test_large_call_is_split_over_several_batches() -> None:
    limits = parameters(
        max_batch_size=20, enable_large_batch_splitting=True, max_execution_batch_size=4, batch_timeout_micros=NEVER
    )
    queue: BatchQueue[str] = BatchQueue(limits)
    queue.schedule("a", 3, now=0.0)
    assert queue.schedule("b", 10, now=0.0) == 4
    taken = []
    while batch := queue.take(now=0.0):
        taken.append([(part.task, part.start, part.stop) for part in batch.parts])
    assert taken == [[("a", 0, 3), ("b", 0, 1)], [("b", 1, 5)], [("b", 5, 9)]]
    batch = queue.take(now=NEVER)
    assert batch is not None and [(part.start, part.stop) for part in batch.parts] == [(9, 10)]


@pytest.mark.parametrize(
    ("limits", "before", "rows", "code", "message"),
    [
        ({"max_batch_size": 4}, 0, 5, Code.INVALID_ARGUMENT, "Task size 5 is larger than maximum input batch size 4"),
        (
            {"max_batch_size": 4, "max_enqueued_batches": 2},
            2,
            3,
            Code.UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
            "max_enqueued_batches is 2",
        ),
        (
            {
                "max_batch_size": 40,
                "max_enqueued_batches": 2,
                "enable_large_batch_splitting": True,
                "max_execution_batch_size": 4,
            },
            1,
            6,
            Code.UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; task size is 6 but scheduling "
            "capacity is only 5 (num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=3, "
            "max_execution_batch_size=4)",
        ),
    ],
)
def test_calls_above_the_limits_are_rejected(
    limits: dict[str, object], before: int, rows: int, code: Code, message: str
) -> None:
    queue: BatchQueue[int] = BatchQueue(parameters(**limits))
    for task in range(before):
        queue.schedule(task, 3, now=0.0)
    with raises_status(code) as caught:
        queue.schedule(99, rows, now=0.0)
    assert str(caught.value) == message
