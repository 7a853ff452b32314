"""Calls over a socket pair."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from serving.gateway.workers.control_connection import ControlConnection, Handler


async def double(number: int) -> int:
    return 2 * number


async def fail(_: Any) -> None:
    raise RuntimeError("no")


@contextlib.asynccontextmanager
async def connected(handlers: Mapping[str, Handler]) -> AsyncIterator[tuple[ControlConnection, socket.socket]]:
    """Two ends that run, and the second one's socket; the first end may call the handlers."""
    one, other = socket.socketpair()
    first, second = await ControlConnection.open(one, {}), await ControlConnection.open(other, handlers)
    tasks = [asyncio.create_task(end.run()) for end in (first, second)]
    try:
        yield first, other
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_concurrent_calls_get_their_own_results() -> None:
    async with connected({"double": double}) as (end, _):
        assert await asyncio.gather(*(end.call("double", n, 10) for n in range(50))) == [2 * n for n in range(50)]
        large = "x" * 5_000_000
        assert await end.call("double", large, 10) == 2 * large


async def test_a_failed_handler_times_out_and_later_calls_work() -> None:
    async with connected({"double": double, "fail": fail}) as (end, _):
        for method in ("fail", "unknown"):
            with pytest.raises(TimeoutError):
                await end.call(method, None, 0.1)
        assert await end.call("double", 4, 10) == 8


async def test_calls_fail_at_once_when_the_other_end_closes() -> None:
    started = asyncio.Event()

    async def wait(_: Any) -> None:
        started.set()
        await asyncio.sleep(60)

    async with connected({"wait": wait}) as (end, other):
        call = asyncio.create_task(end.call("wait", None, 60))
        await started.wait()
        other.shutdown(socket.SHUT_RDWR)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 10)
        with pytest.raises(TimeoutError):
            await end.call("wait", None, 60)


async def test_invalid_message_ends_the_connection() -> None:
    one, other = socket.socketpair()
    end = await ControlConnection.open(one, {})
    with other:
        other.sendall(b"hello\n")
        await asyncio.wait_for(end.run(), 10)
        assert other.recv(1) == b""


async def test_a_message_cut_off_by_the_death_of_the_other_end_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    one, other = socket.socketpair()
    end = await ControlConnection.open(one, {})
    with other:
        other.sendall(b'[0, {"families"')
    await asyncio.wait_for(end.run(), 10)
    assert caplog.records == []
