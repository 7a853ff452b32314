"""Exponential back-off with jitter between connection attempts.

Source: grpc/doc/connection-backoff.md. The delays are shorter than gRPC's defaults, because a longer delay would
outlast the restart of a model server.
"""

import random

_INITIAL, _MAX = 0.2, 1.0  # seconds
_MULTIPLIER = 1.6
_JITTER = 0.2


class Backoff:
    """The delays between connection attempts."""

    max_delay = _MAX

    def __init__(self) -> None:
        self._delay = _INITIAL

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        delay = self._delay * random.uniform(1 - _JITTER, 1 + _JITTER)  # nosec B311 # jitter
        self._delay = min(self._delay * _MULTIPLIER, _MAX)
        return delay

    def reset(self) -> None:
        """Start again with the shortest delay."""
        self._delay = _INITIAL
