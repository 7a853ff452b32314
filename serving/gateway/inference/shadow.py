"""A version that sees a copy of some requests after they were answered, and how its answers differ.

Nobody waits for it: copies stand in a short queue, bounded by number and bytes, and where that is full they are dropped
and counted. One at a time is sent, so a slow shadow gets fewer copies, not more of the model server.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import GatewayError
from serving.gateway.http.memory_budget import Reservation, Stopped
from serving.gateway.inference.comparison import compare
from serving.gateway.observability.metrics import GatewayMetrics

_QUEUE = 64
_BYTES = 32_000_000  # of reserved memory; a copy that needs more waits alone

log = logging.getLogger("vitrine.shadow")

#: Asks the shadow; returns its outputs and its labels.
Ask = Callable[[], Awaitable[tuple[Outputs, Sequence[str]]]]


@dataclass(frozen=True)
class Copy:
    """An answered request, to be sent to the shadow.

    It has the outputs, the labels of their classes, how to ask the shadow the same, and the memory reserved for it, of
    ``size`` bytes, which is held until the shadow has answered.
    """

    model: str
    version: int
    outputs: Outputs
    labels: Sequence[str]
    ask: Ask
    size: int
    memory: Reservation


class Shadows:
    """The queue and who works it off, from the first copy on."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._queue: deque[Copy] = deque()
        self._bytes = 0
        self._worker: asyncio.Task[None] | None = None

    def offer(self, copy: Copy) -> None:
        """Takes a copy if there is room; returns at once."""
        if len(self._queue) == _QUEUE or (self._queue and self._bytes + copy.size > _BYTES):
            self._metrics.shadow_dropped(copy.model, copy.version)
            return
        copy.memory.enter()
        self._queue.append(copy)
        self._bytes += copy.size
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Drops what still waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            copy = self._queue.popleft()
            self._bytes -= copy.size
            try:
                outputs, labels = await copy.ask()
                self._metrics.shadow_compared(
                    copy.model, copy.version, compare(copy.outputs, outputs, (copy.labels, labels))
                )
            except (GatewayError, Stopped) as error:  # Stopped: the client left before it had its answer
                self._metrics.shadow_failed(copy.model, copy.version)
                log.debug("model %s: version %s as a shadow: %r", copy.model, copy.version, error)
            except Exception:
                self._metrics.shadow_failed(copy.model, copy.version)
                log.exception("model %s: version %s could not be compared", copy.model, copy.version)
            finally:
                copy.memory.leave()
