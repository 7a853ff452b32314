"""Run long work on a request's content in a thread, short work in the event loop."""

from collections.abc import Callable
from typing import TypeVar

from serving.gateway.http.memory_budget import Reservation

T = TypeVar("T")

#: Size in bytes from which a thread reads content: orjson needs two milliseconds for so many numbers.
LARGE = 262_144


async def offload(memory: Reservation, size: int, function: Callable[..., T], *arguments: object) -> T:
    """Return the function's result for content of ``size`` bytes; large content is processed in a thread."""
    if size < LARGE:
        return function(*arguments)
    return await memory.run(function, *arguments)
