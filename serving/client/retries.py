"""Retry policy. Every operation only reads, so the client may repeat it."""

import random

import httpx

_FIRST = 0.1  # seconds
_LONGEST = 5.0

#: Errors to retry: the connection failed, or ended before the response.
RETRYABLE_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
RETRYABLE_STATUSES = frozenset({429, 503})


def pause(tries: int, retry_after: str | None, left: float) -> float | None:
    """Compute the pause before the next try: exponential back-off with jitter, after any Retry-After.

    Args:
        tries: Number of tries so far, from 1.
        retry_after: The response's Retry-After header. Only whole seconds count.
        left: Seconds until the deadline of the call.

    Returns:
        Seconds to wait, or None if the next try would miss the deadline.
    """
    longest = min(_FIRST * 2 ** (tries - 1), _LONGEST)
    wait = longest * random.uniform(0.5, 1)  # nosec B311 # jitter
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        wait += float(retry_after)
    return wait if wait < left else None
