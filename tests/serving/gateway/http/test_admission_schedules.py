"""Admission and the memory budget under random schedules of requests that end, fail, disconnect or work in threads.

No limit is exceeded, no caller takes the places of all others, and every counter returns to zero.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from hypothesis.stateful import initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, data, integers, lists, sampled_from

from serving.gateway.errors import Overloaded, TooLarge
from serving.gateway.http.admission import Admission
from serving.gateway.http.memory_budget import MemoryBudget, Reservation, Stopped
from serving.http_server.load_shedding import LoadShedder
from tests.virtual_time import Schedule

MAX_BYTES, MAX_IN_FLIGHT = 1000, 4


class ManualThreads(Executor):
    """Runs a job when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, lambda: function(*arguments, **keywords)))
        return future

    def run(self, number: int) -> None:
        future, work = self.jobs.pop(number)
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)


@dataclass(eq=False)
class Requested:
    """A request that waits for its body, then for the model."""

    caller: str
    model: str
    sizes: list[int]
    fails: bool
    body: asyncio.Future[None]
    answer: asyncio.Future[None]
    memory: Reservation
    task: asyncio.Task[None] | None = None
    is_in_flight: bool = False


class AdmissionSchedule(Schedule):
    """Three callers of two models."""

    @initialize(share=sampled_from((0.25, 0.5, 1.0)))
    def begin(self, share: float) -> None:
        self.share = share
        shedder = LoadShedder(0, lambda data: False, b"", lambda count: None)
        self.admission = Admission(MAX_IN_FLIGHT, share, shedder)
        self.threads = ManualThreads()
        self.budget = MemoryBudget(MAX_BYTES, self.threads, share)
        self.requests: list[Requested] = []

    async def answer(self, one: Requested) -> None:
        """The steps of ``protocols.dispatch``."""
        memory = one.memory
        try:
            self.admission.check(one.model, one.caller)
            await one.body
            memory.hold(one.sizes[0])
            self.admission.enter(one.model, one.caller)
            one.is_in_flight = True
            try:
                await memory.run(self.decode, memory, one.sizes)
                await one.answer
                if one.fails:
                    raise ValueError
                memory.hold(one.sizes[-1])
            finally:
                self.admission.leave(one.model, one.caller)
                one.is_in_flight = False
        except asyncio.CancelledError:
            memory.stop()
            raise
        except Overloaded as error:
            self.check_refusal(one, error)
            raise
        finally:
            memory.leave()

    def decode(self, memory: Reservation, sizes: list[int]) -> None:
        for size in sizes:
            memory.check()
            memory.hold(size)
            memory.release(size // 2)

    def check_refusal(self, one: Requested, error: Overloaded) -> None:
        in_flight = Counter(other.caller for other in self.requests if other.is_in_flight and other.model == one.model)
        if error.reason == "overloaded_in_flight":
            assert in_flight.total() == MAX_IN_FLIGHT
            assert len(in_flight) > 1 or self.share == 1, "one caller takes the places of all others"

    @rule(
        caller=sampled_from("aab"),
        model=sampled_from("mn"),
        sizes=lists(integers(0, 600), min_size=1, max_size=4),
        fails=booleans(),
        copies=integers(1, 5),
    )
    def arrive(self, caller: str, model: str, sizes: list[int], fails: bool, copies: int) -> None:
        for _ in range(copies):
            body, answer = self.loop.create_future(), self.loop.create_future()
            one = Requested(caller, model, sizes, fails, body, answer, self.budget.reservation(caller))
            one.task = self.start(self.answer(one))
            self.requests.append(one)

    def pending(self) -> list[Requested]:
        return [one for one in self.requests if one.task is not None and not one.task.done()]

    @rule(drawn=data(), answers=booleans())
    def go_on(self, drawn: Any, answers: bool) -> None:
        """A body has arrived, or the model has answered."""
        waiting = [future for one in self.pending() if not (future := one.answer if answers else one.body).done()]
        if waiting:
            drawn.draw(sampled_from(waiting)).set_result(None)

    @rule(drawn=data())
    def disconnect(self, drawn: Any) -> None:
        if pending := self.pending():
            drawn.draw(sampled_from(pending)).task.cancel()

    @precondition(lambda self: self.threads.jobs)
    @rule(drawn=data())
    def run_job(self, drawn: Any) -> None:
        self.threads.run(drawn.draw(integers(0, len(self.threads.jobs) - 1)))

    @invariant()
    def limits_hold(self) -> None:
        in_flight = Counter((one.model, one.caller) for one in self.requests if one.is_in_flight)
        assert self.admission._of_caller == in_flight
        for model in "mn":
            count = sum(many for (of, _), many in in_flight.items() if of == model)
            assert self.admission._in_flight.get(model, 0) == count <= MAX_IN_FLIGHT
        assert all(many <= max(1, MAX_IN_FLIGHT * self.share) for many in in_flight.values())
        held = Counter[str]()
        holders = Counter[str]()
        for one in self.requests:
            assert one.memory.held >= 0
            held[one.caller] += one.memory.held
            holders[one.caller] += one.memory.held > 0
        assert self.budget.held == held.total() <= MAX_BYTES
        assert Counter(self.budget._of_caller) == held
        assert all(held[one] <= MAX_BYTES * self.share or holders[one] == 1 for one in held), "more than a share"

    def finish(self) -> None:
        for one in self.pending():
            if not one.body.done():
                one.body.set_result(None)
        self.loop.settle()
        while self.threads.jobs:
            self.threads.run(0)
            self.loop.settle()
        for one in self.pending():
            if not one.answer.done():
                one.answer.set_result(None)
        self.loop.settle()
        for one in self.requests:
            assert one.task is not None and one.task.done(), "a request waits for ever"
            if not one.task.cancelled():
                assert isinstance(one.task.exception(), (type(None), Overloaded, TooLarge, ValueError, Stopped))
        assert self.budget.held == 0 and not self.budget._of_caller
        assert not self.admission._in_flight and not self.admission._of_caller


TestAdmissionSchedule = AdmissionSchedule.TestCase
