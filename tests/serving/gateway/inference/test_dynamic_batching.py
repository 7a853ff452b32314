"""Dynamic batching with a model in the same loop: which requests share a call, and whose outputs they get."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadTensor, Overloaded, Unavailable
from serving.gateway.inference.dynamic_batching import (
    BatchLimits,
    DynamicBatcher,
    Predict,
    QueuedRequest,
    expected_seconds,
    rows_per_call,
    take_batch,
)
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages

SIGNATURE = Signature(
    "serving_default",
    {"x": TensorSpec("x", messages.DT_FLOAT, (None, None))},
    {"y": TensorSpec("y", messages.DT_FLOAT, (None, None))},
)
UNBATCHED = Signature("unbatched", {"x": TensorSpec("x", messages.DT_FLOAT, None)}, SIGNATURE.outputs)
FAR = 1e12


class Model:
    """Returns y = 2 x once ``release`` is set; rejects negative numbers."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.release = asyncio.Event()
        self.release.set()
        self.called = asyncio.Condition()

    async def predict(self, parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        x = np.concatenate([part["x"] for part in parts])
        self.calls.append(len(x))
        async with self.called:
            self.called.notify_all()
        await self.release.wait()
        if (x < 0).any():
            raise BadTensor("negative")
        return Outputs({"y": 2 * x}, clean=True)

    async def wait_for_calls(self, count: int) -> None:
        async with self.called:
            await self.called.wait_for(lambda: len(self.calls) >= count)


def make_batcher(
    predict: Predict,
    calls: int = 1,
    max_rows: int = 8,
    signature: Signature = SIGNATURE,
    max_waiting: int = 1000,
) -> DynamicBatcher:
    return DynamicBatcher(
        "version 1 of model m",
        signature,
        predict,
        BatchLimits(max_rows, max_waiting, calls),
        keeps_rows=True,
    )


async def submit(batcher: DynamicBatcher, *values: float, width: int = 1) -> list[float]:
    array = np.repeat(np.array(values, np.float32)[:, None], width, axis=1)
    outputs = await batcher.submit({"x": array}, len(values), FAR)
    assert outputs["y"].shape == array.shape
    return [float(value) for value in outputs["y"][:, 0]]


async def running_call(model: Model, batcher: DynamicBatcher) -> "asyncio.Task[list[float]]":
    """Submit one row; its call runs until ``model.release`` is set."""
    model.release.clear()
    first = asyncio.create_task(submit(batcher, 1))
    await model.wait_for_calls(1)
    return first


async def test_requests_at_the_same_moment_share_a_call() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    assert await asyncio.gather(*(submit(batcher, value) for value in range(5))) == [
        [2.0 * value] for value in range(5)
    ]
    assert model.calls == [5]


async def test_a_call_starts_when_the_previous_one_ends() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    first = await running_call(model, batcher)
    others = [asyncio.create_task(submit(batcher, value)) for value in (2, 3, 4)]
    await asyncio.wait(others, timeout=0.01)
    assert model.calls == [1]
    model.release.set()
    assert await asyncio.gather(first, *others) == [[2], [4], [6], [8]]
    assert model.calls == [1, 3]
    assert batcher.idle


async def test_rows_are_counted_not_requests() -> None:
    model = Model()
    batcher = make_batcher(model.predict, max_rows=8)
    sizes = [3, 3, 3, 8, 9, 1]
    answers = await asyncio.gather(*(submit(batcher, *range(size)) for size in sizes))
    assert [len(answer) for answer in answers] == sizes
    assert model.calls == [6, 3, 8, 9, 1]


async def test_row_shapes_are_not_mixed() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    answers = await asyncio.gather(*(submit(batcher, value, width=1 + value % 2) for value in range(6)))
    assert answers == [[2.0 * value] for value in range(6)]
    assert sorted(model.calls) == [3, 3]


async def test_signatures_without_rows_are_not_merged() -> None:
    model = Model()
    batcher = make_batcher(model.predict, signature=UNBATCHED)
    await asyncio.gather(*(submit(batcher, value) for value in range(4)))
    assert model.calls == [1, 1, 1, 1]


async def test_a_refused_call_is_repeated_one_by_one() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    answers = await asyncio.gather(*(submit(batcher, value) for value in (1, -2, 3)), return_exceptions=True)
    assert answers[0] == [2]
    assert isinstance(answers[1], BadTensor)
    assert answers[2] == [6]
    assert model.calls == [3, 1, 1, 1]


async def test_a_call_is_repeated_one_by_one_if_its_outputs_cannot_be_split() -> None:
    """A model without a card may return one row for several; no request gets another's output."""
    calls = []

    async def total(parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        x = np.concatenate([part["x"] for part in parts])
        calls.append(len(x))
        return Outputs({"y": x.sum(axis=0, keepdims=True)}, clean=True)

    fixed = Signature(
        "fixed",
        {"x": TensorSpec("x", messages.DT_FLOAT, (None, 1))},
        {"y": TensorSpec("y", messages.DT_FLOAT, (None, 1))},
    )
    batcher = DynamicBatcher("version 1 of model m", fixed, total, BatchLimits(8, 100, 1))
    rows = [np.array([[1], [2]], np.float32), np.array([[3]], np.float32)]
    answers = await asyncio.gather(*(batcher.submit({"x": array}, len(array), FAR) for array in rows))
    assert [answer["y"].tolist() for answer in answers] == [[[3]], [[3]]]
    assert calls == [3, 2, 1]


async def test_a_failed_call_fails_all_its_requests_each_with_its_own_error() -> None:
    async def down(parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        raise Unavailable("down")

    batcher = make_batcher(down)
    errors = await asyncio.gather(*(submit(batcher, value) for value in range(3)), return_exceptions=True)
    assert [str(error) for error in errors] == ["down"] * 3
    assert len({id(error) for error in errors}) == 3
    assert await asyncio.gather(submit(batcher, 1), return_exceptions=True)
    assert batcher.idle


async def test_a_defect_fails_its_requests_only() -> None:
    async def defect(parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        raise ZeroDivisionError

    batcher = make_batcher(defect)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await submit(batcher, 1)


async def test_a_cancelled_request_is_not_sent() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    first = await running_call(model, batcher)
    cancelled, kept = asyncio.create_task(submit(batcher, 2)), asyncio.create_task(submit(batcher, 3))
    await asyncio.wait([cancelled, kept], timeout=0.01)
    cancelled.cancel()
    model.release.set()
    assert await kept == [6]
    assert await first == [2]
    assert model.calls == [1, 1]
    with pytest.raises(asyncio.CancelledError):
        await cancelled


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(-1, 9), min_size=1, max_size=5), max_size=30),
    st.integers(1, 3),
    st.integers(1, 10),
)
def test_each_request_gets_its_own_outputs(requests: list[list[int]], calls: int, max_rows: int) -> None:
    async def run() -> list[Any]:
        model = Model()
        batcher = make_batcher(model.predict, calls, max_rows)
        return await asyncio.gather(*(submit(batcher, *values) for values in requests), return_exceptions=True)

    for values, answer in zip(requests, asyncio.run(run()), strict=True):
        if -1 in values:
            assert isinstance(answer, BadTensor)
        else:
            assert answer == [2.0 * value for value in values]


async def test_take_batch() -> None:
    def queued(*rows: int) -> list[QueuedRequest]:
        return [QueuedRequest({}, count, FAR, asyncio.get_running_loop().create_future()) for count in rows]

    for rows, most, taken in (
        ((), 8, []),
        ((1, 2, 3), 8, [1, 2, 3]),
        ((4, 4, 1), 8, [4, 4]),
        ((9, 1), 8, [9]),
        ((5, 5), 8, [5]),
        ((5, 5, 1), 8, [5]),  # in order: no request overtakes another
    ):
        waiting = deque(queued(*rows))
        batch, removed = take_batch(waiting, most)
        assert [one.rows for one in batch] == taken
        assert removed == sum(taken)
        assert [one.rows for one in waiting] == list(rows[len(taken) :])
    cancelled, kept = queued(1, 2)
    cancelled.future.cancel()
    assert take_batch(deque([cancelled, kept]), 8) == ([kept], 3)


@pytest.mark.parametrize(
    ("rows", "max_rows", "most"), [(0, 128, 16), (64, 128, 16), (256, 128, 64), (1000, 128, 128), (64, 8, 8)]
)
def test_rows_per_call(rows: int, max_rows: int, most: int) -> None:
    assert rows_per_call(rows, max_rows) == most


async def test_with_one_share_a_call_takes_all_rows() -> None:
    """The model then runs in this process, and no other work could go on meanwhile."""
    model = Model()
    batcher = DynamicBatcher("m", SIGNATURE, model.predict, BatchLimits(128, 1000, 2, shares=1), keeps_rows=True)
    await asyncio.gather(*(submit(batcher, value) for value in range(100)))
    assert model.calls == [100]


async def test_a_call_takes_no_more_than_its_share() -> None:
    """The model server then has the next call when it ends one."""
    model = Model()
    batcher = make_batcher(model.predict, calls=2, max_rows=128)
    await asyncio.gather(*(submit(batcher, value) for value in range(100)))
    assert model.calls == [25, 25, 18, 16, 16]


@pytest.mark.parametrize(
    ("call_seconds", "rows_ahead", "max_rows", "calls", "expected"),
    [
        (0.0, 500, 8, 1, 0.0),  # nothing measured yet
        (0.1, 0, 8, 1, 0.15),  # half of the running call, and its own
        (0.1, 7, 8, 1, 0.15),  # it joins the rows ahead
        (0.1, 8, 8, 1, 0.25),
        (0.1, 80, 8, 2, 0.65),
    ],
)
def test_expected_seconds(call_seconds: float, rows_ahead: int, max_rows: int, calls: int, expected: float) -> None:
    assert expected_seconds(call_seconds, rows_ahead, max_rows, calls) == pytest.approx(expected)


async def test_the_queue_is_bounded_by_rows() -> None:
    model = Model()
    batcher = make_batcher(model.predict, max_waiting=3)
    first = await running_call(model, batcher)
    waiting = [asyncio.create_task(submit(batcher, value, value)) for value in (2,)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 rows waiting"):
        await submit(batcher, 3, 3)
    waiting.append(asyncio.create_task(submit(batcher, 4)))
    model.release.set()
    assert await asyncio.gather(first, *waiting) == [[2.0], [4.0, 4.0], [8.0]]
    assert await submit(batcher, 5, 6, 7, 8) == [
        10.0,
        12.0,
        14.0,
        16.0,
    ]  # over the limit of an empty queue


async def test_a_request_that_cannot_meet_its_deadline_is_rejected_at_once() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    loop = asyncio.get_running_loop()
    row = {"x": np.ones((1, 1), np.float32)}
    model.release.clear()
    slow = asyncio.create_task(batcher.submit(row, 1, FAR))
    await model.wait_for_calls(1)
    await asyncio.sleep(0.05)
    model.release.set()
    await slow
    model.release.clear()
    running = asyncio.create_task(batcher.submit(row, 1, FAR))  # a slot is free: accepted despite its deadline
    await model.wait_for_calls(2)
    with pytest.raises(Overloaded, match="but the deadline is in"):
        await batcher.submit(row, 1, loop.time() + 0.001)
    patient = asyncio.create_task(batcher.submit(row, 1, FAR))
    model.release.set()
    await asyncio.gather(running, patient)
    assert model.calls == [1, 1, 1]


async def test_a_cancelled_request_makes_room_in_the_queue() -> None:
    model = Model()
    batcher = make_batcher(model.predict, max_waiting=2)
    first = await running_call(model, batcher)
    cancelled, kept = asyncio.create_task(submit(batcher, 2)), asyncio.create_task(submit(batcher, 3))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await submit(batcher, 4)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    accepted = asyncio.create_task(submit(batcher, 5))  # accepted before the first call ends
    await asyncio.sleep(0)
    model.release.set()
    assert await asyncio.gather(first, kept, accepted) == [[2.0], [6.0], [10.0]]
    assert model.calls == [1, 2]
    assert batcher.idle


async def test_a_call_is_cancelled_with_the_last_of_its_requests() -> None:
    cancelled = []

    async def endless(parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(len(parts))
            raise
        raise AssertionError

    batcher = make_batcher(endless)
    requests = [asyncio.create_task(submit(batcher, value)) for value in (1, 2)]
    for _ in range(3):
        await asyncio.sleep(0)
    requests[0].cancel()
    await asyncio.wait([requests[0]])
    assert not cancelled
    requests[1].cancel()
    await asyncio.wait([requests[1]])
    await asyncio.sleep(0)
    assert cancelled == [2]
    await asyncio.sleep(0)
    assert batcher.idle


async def test_cancelled_calls_do_not_make_a_model_look_fast() -> None:
    """A client that gives up early says nothing about how long a call takes."""
    model = Model()
    batcher = make_batcher(model.predict)
    slow = await running_call(model, batcher)
    await asyncio.sleep(0.3)  # the time of the first call: an average of 0.06 s from now on
    model.release.set()
    await slow
    for number in range(2, 22):
        model.release.clear()
        request = asyncio.create_task(submit(batcher, 1))
        await model.wait_for_calls(number)
        request.cancel()
        await asyncio.wait([request])
        await asyncio.sleep(0)
    running = asyncio.create_task(submit(batcher, 1))
    await model.wait_for_calls(22)
    with pytest.raises(Overloaded, match="the deadline is in"):
        await batcher.submit({"x": np.ones((1, 1), np.float32)}, 1, asyncio.get_running_loop().time() + 0.05)
    model.release.set()
    await running


async def test_a_batcher_is_idle_after_its_last_request_is_cancelled() -> None:
    model = Model()
    batcher = make_batcher(model.predict)
    first = await running_call(model, batcher)
    cancelled = asyncio.create_task(submit(batcher, 2))
    await asyncio.sleep(0)
    cancelled.cancel()
    model.release.set()
    assert await first == [2.0]
    await asyncio.wait([cancelled])
    await asyncio.sleep(0)
    assert batcher.idle
    assert await submit(batcher, 3) == [6.0]


async def test_all_requests_of_a_merged_call_get_its_error() -> None:
    async def overloaded(parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        raise Overloaded("no free slot", "model_server")

    batcher = make_batcher(overloaded)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)
    assert [(str(answer), answer.reason) for answer in answers if isinstance(answer, Overloaded)] == [
        ("no free slot", "overloaded_model_server")
    ] * 2
