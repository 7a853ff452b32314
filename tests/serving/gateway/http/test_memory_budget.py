"""The memory budget: what fits, what is rejected, and when bytes are released."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gateway.errors import Overloaded, TooLarge
from serving.gateway.http.memory_budget import MemoryBudget, Reservation, Stopped


@pytest.fixture
def budget() -> MemoryBudget:
    """100 bytes, and one thread."""
    return MemoryBudget(100, ThreadPoolExecutor(1))


def test_requests_share_the_budget(budget: MemoryBudget) -> None:
    one, other = budget.reservation(), budget.reservation()
    one.hold(60)
    with pytest.raises(Overloaded, match="try again"):
        other.hold(41)
    one.release(10)
    other.hold(50)
    assert budget.held == 100
    one.leave()
    other.leave()
    assert budget.held == 0


def test_request_that_never_fits_is_too_large(budget: MemoryBudget) -> None:
    one, other = budget.reservation(), budget.reservation()
    one.hold(60)
    other.hold(1)
    with pytest.raises(TooLarge, match="needs 101 bytes of memory when it is decoded, but at most 100 are available"):
        one.hold(41)


def test_last_of_several_large_requests_always_fits(budget: MemoryBudget) -> None:
    requests = [budget.reservation() for _ in range(4)]
    for request in requests:
        request.hold(25)
    for request in requests[:3]:
        with pytest.raises(Overloaded):
            request.hold(75)
    requests[3].hold(75)
    for request in requests:
        request.release(25)
        request.leave()
    assert budget.held == 0


def test_stopped_request_cannot_reserve(budget: MemoryBudget) -> None:
    request = budget.reservation()
    request.leave()
    with pytest.raises(Stopped):
        request.hold(1)


async def test_bytes_are_released_when_the_work_has_ended(budget: MemoryBudget) -> None:
    began, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def work() -> None:
        began.set()
        go_on.wait(20)
        ended.append("piece")
        request.check()
        ended.append("whole")

    request = budget.reservation()
    request.hold(90)
    working = asyncio.create_task(request.run(work))
    waiting = asyncio.create_task(request.run(ended.append, "waited"))
    await asyncio.to_thread(began.wait, 20)
    for task in (working, waiting):
        task.cancel()
    await asyncio.wait([working, waiting])
    request.stop()
    request.leave()
    assert budget.held == 90
    with pytest.raises(Overloaded):
        budget.reservation().hold(20)
    go_on.set()
    async with asyncio.timeout(20):
        while budget.held:
            await asyncio.sleep(0)
    assert ended == ["piece"]


async def test_job_that_cannot_start_holds_nothing(budget: MemoryBudget) -> None:
    budget._threads.shutdown()
    request = budget.reservation()
    request.hold(1)
    with pytest.raises(RuntimeError):
        await request.run(int)
    request.leave()
    assert budget.held == 0


def test_share_of_a_caller() -> None:
    budget = MemoryBudget(100, ThreadPoolExecutor(1), max_share=0.5)
    alone = budget.reservation("a")
    alone.hold(90)  # its only request
    alone.release(60)
    second, other = budget.reservation("a"), budget.reservation("b")
    second.hold(20)
    with pytest.raises(Overloaded, match="the other requests of a hold its share of memory"):
        second.hold(1)
    other.hold(60)
    for request in (alone, second, other):
        request.leave()
    assert budget.held == 0
    assert not budget._of_caller


@pytest.mark.parametrize("seed", range(5))
async def test_every_byte_is_released_once(seed: int) -> None:
    draw = random.Random(seed)
    budget = MemoryBudget(1000, ThreadPoolExecutor(4), max_share=0.5)
    most = 0

    def work(memory: Reservation, sizes: list[int]) -> None:
        nonlocal most
        for size in sizes:
            memory.hold(size)
            most = max(most, budget.held)
            memory.release(size // 2)

    async def request(caller: str, sizes: list[int], ends: str) -> None:
        memory = budget.reservation(caller)
        try:
            memory.hold(draw.randrange(300))
            await memory.run(work, memory, sizes)
            if ends == "error":
                raise ValueError
            await memory.run(work, memory, sizes)
        except asyncio.CancelledError:
            memory.stop()
            raise
        finally:
            memory.leave()

    ends = ["answer", "error", "cancelled"]
    planned = [(draw.choice("abc"), draw.choices(range(200), k=20), draw.choice(ends)) for _ in range(300)]
    tasks = [asyncio.create_task(request(*one)) for one in planned]
    for task, (_, _, end) in zip(tasks, planned, strict=True):
        await asyncio.sleep(0)
        if end == "cancelled":
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    budget._threads.shutdown()
    assert {type(one) for one in outcomes} <= {type(None), ValueError, Overloaded, TooLarge, asyncio.CancelledError}
    assert 0 < most <= 1000
    assert budget.held == 0
    assert not budget._of_caller
