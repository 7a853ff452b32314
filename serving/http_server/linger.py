"""Reading on after an early response.

A server that closes a connection with unread bytes resets it, and the reset discards the response on its way to the
client. So the server reads and discards for a moment first.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

LINGER_SECONDS = 1.0
LINGER_BYTES = 4_000_000


async def linger(receive: Callable[[], Awaitable[Any]]) -> None:
    """Discard the rest of a request body, within the limits above."""
    left = LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
