"""What waits for a shadow is bounded."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gateway.memory import MemoryBudget
from serving.gateway.metrics import Metrics
from serving.gateway.shadow import Copy, Shadows
from serving.gateway.wire import Outputs


@pytest.mark.parametrize(("size", "taken"), [(1000, 64), (10_000_000, 3), (50_000_000, 1)])
async def test_copies_wait_within_bounds_of_number_and_bytes(size: int, taken: int) -> None:
    asked = 0

    async def ask() -> tuple[Outputs, Sequence[str]]:
        nonlocal asked
        asked += 1
        return Outputs({}, clean=True), ()

    metrics = Metrics()
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
