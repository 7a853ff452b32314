"""Rate limits by key, counted by the ``limits`` library: in memory, or in Redis for several gateways.

Requests without a valid key count against the default rate of their address. While Redis does not answer, the gateway
accepts all requests and logs an error: a failed counter must not stop the service.
"""

import asyncio
import functools
import logging
import math
import time
import zlib
from collections.abc import Callable
from typing import Protocol

import limits
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from serving.gateway.errors import TooMany
from serving.gateway.http.keys_file import Key

_STORAGE_TIMEOUT = 0.25  # seconds
_PAUSE = 1.0  # seconds without counting after a time-out
_FAILURE_COUNTERS = 4096
_LOG_INTERVAL = 10.0  # seconds between two log lines about a failing storage

log = logging.getLogger("vitrine.rates")


class RequestCounts(Protocol):
    """Counters of requests: in this process, in the supervisor of several workers, or in Redis."""

    async def hit(self, rate: str, counter: str) -> float | None:
        """Count a request if the rate allows it.

        Returns:
            None if the rate allows the request, else the Unix time at which the window ends.

        Raises:
            StorageError, TimeoutError: the storage does not answer.
        """


class StoredCounts:
    """Counts in the ``limits`` library's storage: ``memory://`` or ``redis://host:port``."""

    def __init__(self, storage: str) -> None:
        options: dict[str, float | str] = {}
        if not storage.startswith("memory"):
            options = {"implementation": "redispy", "socket_timeout": _STORAGE_TIMEOUT}
        counts = storage_from_string(f"async+{storage}", wrap_exceptions=True, **options)
        self._limiter = SlidingWindowCounterRateLimiter(counts)
        self._item = functools.lru_cache(maxsize=1024)(limits.parse)

    async def hit(self, rate: str, counter: str) -> float | None:
        """Count a request; see :class:`RequestCounts`."""
        item = self._item(rate)
        async with asyncio.timeout(_STORAGE_TIMEOUT):
            if await self._limiter.hit(item, counter):
                return None
            return (await self._limiter.get_window_stats(item, counter)).reset_time


class Rates:
    """Limits requests by key, or by the caller's address if no key is required."""

    def __init__(self, rate: str, counts: RequestCounts, on_uncounted: Callable[[], None] = lambda: None) -> None:
        """Configure the limits.

        Args:
            rate: default rate, like ``10/second``; empty if only keys have rates.
            counts: storage of the counts.
            on_uncounted: called for each request that the storage could not count.
        """
        self._counts = counts
        self._rate = rate
        self._on_uncounted = on_uncounted
        self._pause_until = 0.0
        self._next_log = 0.0

    async def count(self, key: Key | None, caller: str) -> None:
        """Count one more request.

        Raises:
            TooMany: the rate is exceeded.
        """
        await self._count(key.rate if key is not None and key.rate is not None else self._rate, caller, caller)

    async def count_failure(self, caller: str) -> None:
        """Count one more request without a valid key.

        The number of counters is fixed, whatever the number of addresses. Addresses with the same counter are limited
        together, but only without a valid key.

        Raises:
            TooMany: the rate is exceeded.
        """
        bucket = zlib.crc32(caller.encode()) % _FAILURE_COUNTERS
        await self._count(self._rate, f"failures {bucket}", f"without a valid key, {caller}")

    async def _count(self, rate: str, counter: str, caller: str) -> None:
        if not rate:
            return
        if time.monotonic() < self._pause_until:
            self._on_uncounted()
            return
        try:
            reset = await self._counts.hit(rate, counter)
        except (StorageError, TimeoutError) as error:
            self._on_uncounted()
            self._report(error)
            return
        if reset is None:
            return
        wait = max(1, math.ceil(reset - time.time()))
        raise TooMany(f"{caller} may make {rate} requests; wait {wait} s", wait)

    def _report(self, error: Exception) -> None:
        now = time.monotonic()
        self._pause_until = now + _PAUSE
        if now >= self._next_log:
            self._next_log = now + _LOG_INTERVAL
            log.error(
                "rates cannot be counted, so all requests are accepted: %s",
                error or "the storage does not answer",
            )
