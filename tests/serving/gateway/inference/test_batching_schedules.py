"""Dynamic batching under random schedules.

Requests arrive, are cancelled and reach their deadlines while calls succeed, fail, are refused or hang, in any order of
the loop's turns. Each request gets its own rows once or an error, and nothing waits for ever.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis.stateful import initialize, invariant, rule
from hypothesis.strategies import data, integers, sampled_from

from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadTensor, BadUpstream, DeadlineExceeded, GatewayError, Unavailable
from serving.gateway.inference import dynamic_batching
from serving.gateway.inference.dynamic_batching import BatchLimits, DynamicBatcher
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from tests.virtual_time import Schedule

SIGNATURE = Signature(
    "serving_default",
    {"x": TensorSpec("x", messages.DT_FLOAT, (None, None))},
    {"y": TensorSpec("y", messages.DT_FLOAT, (None, None))},
)
FAILURES = (Unavailable("down"), BadTensor("refused"), BadUpstream("unreadable"), ZeroDivisionError("a defect"))


@dataclass(eq=False)
class Call:
    """A call that the model server runs until ``end`` is set: true for outputs, or an error."""

    rows: int
    parts: int
    end: asyncio.Future[bool]
    refuses: bool  # a negative number, as a real model does


@dataclass(eq=False)
class Sent:
    """A request and the rows it must get."""

    rows: Any
    task: asyncio.Task[Any]
    cancelled: bool = False


class BatchingSchedule(Schedule):
    """Two shapes of rows, one signature."""

    @initialize(
        calls=integers(1, 3),
        rows=sampled_from((64, 16, 4)),
        waiting=sampled_from((400, 400, 4)),
        shares=integers(1, 4),
        keeps=sampled_from((True, True, False)),
    )
    def begin(self, calls: int, rows: int, waiting: int, shares: int, keeps: bool) -> None:
        self.clock = pytest.MonkeyPatch()
        self.clock.setattr(dynamic_batching, "perf_counter", self.loop.time)
        self.limits = BatchLimits(rows, waiting, calls, shares)
        self.keeps_rows = keeps
        self.batcher: DynamicBatcher = self.within(
            lambda: DynamicBatcher("version 1 of model m", SIGNATURE, self.predict, self.limits, keeps_rows=keeps)
        )
        self.numbers = count(1)
        self.sent: list[Sent] = []
        self.calls: list[Call] = []
        self.largest = 0
        self.latest = 0.0

    async def predict(self, parts: Sequence[Arrays], deadline: float, metadata: object = None) -> Outputs:
        """Return y = 2 x, once the call may end, and at the latest at the deadline."""
        x = np.concatenate([part["x"] for part in parts])
        call = Call(len(x), len(parts), self.loop.create_future(), bool((x < 0).any()))
        self.calls.append(call)
        try:
            async with asyncio.timeout_at(deadline):
                keeps_rows = await call.end
        except TimeoutError:
            raise DeadlineExceeded("the model server is late") from None
        finally:
            self.calls.remove(call)
        if call.refuses:
            raise BadTensor("negative")
        return Outputs({"y": 2 * x if keeps_rows else 2 * x[:-1]}, clean=True)

    async def request(self, x: Any, deadline: float) -> Any:
        """Send as the gateway does: the deadline cancels the request."""
        async with asyncio.timeout_at(deadline):
            return await self.batcher.submit({"x": x}, len(x), deadline)

    @rule(
        rows=integers(1, 5),
        width=integers(1, 2),
        seconds=sampled_from((20.0, 5.0, 0.1)),
        refused=sampled_from((*[False] * 7, True)),
        copies=sampled_from((6, 3, 1)),
    )
    def send(self, rows: int, width: int, seconds: float, refused: bool, copies: int) -> None:
        for _ in range(copies):
            x = np.array([[next(self.numbers)] * width for _ in range(rows)], np.float32)
            deadline = self.loop.time() + seconds
            self.sent.append(Sent(2 * x, self.start(self.request(-x if refused else x, deadline))))
            self.largest = max(self.largest, rows)
            self.latest = max(self.latest, deadline)

    @rule(drawn=data())
    def cancel(self, drawn: Any) -> None:
        waiting = [sent for sent in self.sent if not sent.task.done()]
        if waiting:
            sent = drawn.draw(sampled_from(waiting))
            sent.task.cancel()
            sent.cancelled = True

    def running(self) -> list[Call]:
        return [call for call in self.calls if not call.end.done()]

    @rule(lost_row=sampled_from((*[False] * 5, True)))
    def end_calls(self, lost_row: bool) -> None:
        for call in self.running():
            call.end.set_result(not lost_row)

    @rule(drawn=data())
    def end_call(self, drawn: Any) -> None:
        if running := self.running():
            drawn.draw(sampled_from(running)).end.set_result(True)

    @rule(drawn=data(), error=sampled_from(FAILURES))
    def fail_call(self, drawn: Any, error: Exception) -> None:
        if running := self.running():
            drawn.draw(sampled_from(running)).end.set_exception(error)

    @invariant()
    def limits_hold(self) -> None:
        batcher = self.batcher
        queued = [request for queue in batcher._queues.values() for request in queue]
        assert batcher._rows_waiting == sum(request.rows for request in queued)
        assert batcher._rows_waiting <= max(self.limits.waiting, self.largest)
        assert batcher._free + len(batcher._running) == self.limits.calls
        assert batcher._rows_running == sum(request.rows for batch in batcher._running.values() for request in batch)
        assert len(self.calls) <= self.limits.calls
        assert all(call.parts == 1 or call.rows <= self.limits.rows for call in self.calls)
        assert all(batcher._queues.values()), "an empty queue stays"

    @rule()
    def run_until_idle(self) -> None:
        self.loop.settle()
        assert not self.batcher._queues or not self.batcher._free, "requests wait although a call could start"
        assert not self.calls or not all(sent.task.done() for sent in self.sent), "a call runs for nobody"

    def outcomes(self) -> Iterator[tuple[Sent, Any]]:
        for sent in self.sent:
            assert sent.task.done(), "a request waits for ever"
            error = None if sent.task.cancelled() else sent.task.exception()
            yield sent, asyncio.CancelledError() if sent.task.cancelled() else error or sent.task.result()

    def finish(self) -> None:
        """Reach every deadline without another response of the model server."""
        try:
            self.loop.advance(self.latest - self.loop.time() + 1)
            self.loop.settle()
            for sent, outcome in self.outcomes():
                if isinstance(outcome, Outputs):
                    whole = self.keeps_rows or len(outcome["y"]) == len(sent.rows)
                    assert np.array_equal(outcome["y"], sent.rows if whole else sent.rows[:-1])
                elif isinstance(outcome, asyncio.CancelledError):
                    assert sent.cancelled
                else:
                    assert isinstance(outcome, (GatewayError, TimeoutError, ZeroDivisionError)), outcome
            assert self.batcher.idle
            assert (self.batcher._rows_waiting, self.batcher._rows_running) == (0, 0)
            assert not self.calls
            answer = self.start(self.request(np.ones((1, 1), np.float32), self.loop.time() + 1))
            self.loop.settle()
            self.running()[0].end.set_result(True)
            self.loop.settle()
            assert answer.result()["y"] == 2
        finally:
            self.clock.undo()


TestBatchingSchedule = BatchingSchedule.TestCase
