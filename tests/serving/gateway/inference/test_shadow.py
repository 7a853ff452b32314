"""What waits for a shadow is bounded, and what goes wrong there is told apart from defects."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gateway.backends.base import Outputs
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.inference.shadow import Copy, Shadows
from serving.gateway.observability.metrics import GatewayMetrics


@pytest.mark.parametrize(("size", "taken"), [(1000, 64), (10_000_000, 3), (50_000_000, 1)])
async def test_copies_wait_within_bounds_of_number_and_bytes(size: int, taken: int) -> None:
    asked = 0

    async def ask() -> tuple[Outputs, Sequence[str]]:
        nonlocal asked
        asked += 1
        return Outputs({}, clean=True), ()

    metrics = GatewayMetrics()
    shadows = Shadows(metrics)
    for round_ in (1, 2):  # in the second there is room again
        for _ in range(100):
            shadows.offer(
                Copy(
                    "m", 2, Outputs({}, clean=True), (), ask, size, MemoryBudget(0, ThreadPoolExecutor(1)).reservation()
                )
            )
        async with asyncio.timeout(10):
            while asked < round_ * taken:
                await asyncio.sleep(0)
        assert f'outcome="dropped",version="2"}} {round_ * (100 - taken)}.0' in metrics.page().decode()
    await shadows.close()
    assert asked == 2 * taken


async def test_a_request_that_was_cancelled_is_no_defect_of_its_copy(caplog: pytest.LogCaptureFixture) -> None:
    budget = MemoryBudget(100, ThreadPoolExecutor(1))
    memory = budget.reservation()
    memory.hold(60)
    asked = asyncio.Event()

    async def ask() -> tuple[Outputs, Sequence[str]]:
        asked.set()
        memory.hold(1)
        raise AssertionError("the copy was asked although its request was cancelled")

    metrics = GatewayMetrics()
    shadows = Shadows(metrics)
    shadows.offer(Copy("m", 2, Outputs({}, clean=True), (), ask, 60, memory))
    memory.stop()
    memory.leave()
    with caplog.at_level(logging.WARNING):
        await asyncio.wait_for(asked.wait(), 10)
        await shadows.close()
    assert caplog.messages == []
    assert 'outcome="failed",version="2"} 1.0' in metrics.page().decode()
    assert budget.held == 0
