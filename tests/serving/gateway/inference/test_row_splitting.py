"""Row splitting: order, concurrency and cancellation of the parts, and the joined outputs."""

import asyncio

import numpy as np
import pytest

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import BadTensor, Unavailable
from serving.gateway.inference.row_splitting import in_order, joined, whole


def outputs(*shape: int, clean: bool = True) -> Outputs:
    return Outputs({"y": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)}, clean)


async def test_results_are_in_order_and_concurrency_is_limited() -> None:
    under_way = most = 0

    async def send(part: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(part % 3):  # a later part may overtake
            await asyncio.sleep(0)
        under_way -= 1
        return part * 10

    assert await in_order(range(20), send, 3) == [part * 10 for part in range(20)]
    assert most == 3


async def test_a_failure_cancels_the_other_parts() -> None:
    sent: list[int] = []

    async def send(part: int) -> int:
        sent.append(part)
        await asyncio.sleep(0)
        if part == 2:
            raise Unavailable("gone")
        return part

    with pytest.raises(Unavailable, match="gone"):
        await in_order(range(100), send, 2)
    assert len(sent) < 8


async def test_a_cancelled_request_sends_no_more_parts() -> None:
    sent: list[int] = []
    started = asyncio.Event()

    async def send(part: int) -> int:
        sent.append(part)
        started.set()
        await asyncio.Event().wait()
        return part

    task = asyncio.create_task(in_order(range(100), send, 2))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sent) <= 2


def test_outputs_of_parts_are_joined() -> None:
    merged = joined([outputs(2, 3), outputs(1, 3, clean=False)])
    assert merged["y"].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert not merged.clean
    with pytest.raises(BadTensor, match="another shape in each part"):
        joined([outputs(2, 3), outputs(2, 4)])
    assert whole(outputs(2, 3), 2)["y"].shape == (2, 3)
    for other in (outputs(1, 3), outputs()):
        with pytest.raises(BadTensor, match="cannot be split"):
            whole(other, 2)
