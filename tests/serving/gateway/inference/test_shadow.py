"""Shadow traffic: limits of the queue, and copies of cancelled requests."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gateway.backends.base import Outputs
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.inference.shadow import ShadowRequest, Shadows
from serving.gateway.observability.metrics import GatewayMetrics


@pytest.mark.parametrize(("size", "taken"), [(1000, 64), (10_000_000, 3), (50_000_000, 1)])
async def test_the_queue_is_bounded_by_number_and_bytes(size: int, taken: int) -> None:
    sent = 0

    async def send() -> tuple[Outputs, Sequence[str]]:
        nonlocal sent
        sent += 1
        return Outputs({}, clean=True), ()

    metrics = GatewayMetrics()
    shadows = Shadows(metrics)
    for round_ in (1, 2):  # the first round has emptied the queue
        for _ in range(100):
            shadows.offer(
                ShadowRequest(
                    "m",
                    2,
                    Outputs({}, clean=True),
                    (),
                    send,
                    size,
                    MemoryBudget(0, ThreadPoolExecutor(1)).reservation(),
                )
            )
        async with asyncio.timeout(10):
            while sent < round_ * taken:
                await asyncio.sleep(0)
        assert f'outcome="dropped",version="2"}} {round_ * (100 - taken)}.0' in metrics.page().decode()
    await shadows.close()
    assert sent == 2 * taken


async def test_a_copy_of_a_cancelled_request_fails_without_a_logged_defect(caplog: pytest.LogCaptureFixture) -> None:
    budget = MemoryBudget(100, ThreadPoolExecutor(1))
    memory = budget.reservation()
    memory.hold(60)
    sent = asyncio.Event()

    async def send() -> tuple[Outputs, Sequence[str]]:
        sent.set()
        memory.hold(1)
        raise AssertionError("the copy was answered although its request was cancelled")

    metrics = GatewayMetrics()
    shadows = Shadows(metrics)
    shadows.offer(ShadowRequest("m", 2, Outputs({}, clean=True), (), send, 60, memory))
    memory.stop()
    memory.leave()
    with caplog.at_level(logging.WARNING):
        await asyncio.wait_for(sent.wait(), 10)
        await shadows.close()
    assert caplog.messages == []
    assert 'outcome="failed",version="2"} 1.0' in metrics.page().decode()
    assert budget.held == 0
