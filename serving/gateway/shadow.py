"""A version that sees a copy of some requests after they were answered, and how its answers differ.

Nobody waits for it: copies stand in a short queue, and where that is full they are dropped and counted. One at a time
is sent, so a slow shadow gets fewer copies, not more of the model server.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from serving.gateway.compare import compare
from serving.gateway.errors import GatewayError
from serving.gateway.metrics import Metrics
from serving.gateway.wire import Outputs

_QUEUE = 64

log = logging.getLogger("vitrine.shadow")

#: Asks the shadow; returns its outputs and its labels.
Ask = Callable[[], Awaitable[tuple[Outputs, Sequence[str]]]]


@dataclass(frozen=True)
class Copy:
    """An answered request: what came out, the labels of its classes, and how to ask the shadow the same."""

    model: str
    version: int
    outputs: Outputs
    labels: Sequence[str]
    ask: Ask


class Shadows:
    """The queue and who works it off, from the first copy on."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queue: asyncio.Queue[Copy] = asyncio.Queue(_QUEUE)
        self._worker: asyncio.Task[None] | None = None

    def offer(self, copy: Copy) -> None:
        """Takes a copy if there is room; returns at once."""
        try:
            self._queue.put_nowait(copy)
        except asyncio.QueueFull:
            self._metrics.shadow_dropped(copy.model, copy.version)
            return
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Drops what still waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while not self._queue.empty():
            copy = self._queue.get_nowait()
            try:
                outputs, labels = await copy.ask()
                self._metrics.shadow_compared(
                    copy.model, copy.version, compare(copy.outputs, outputs, (copy.labels, labels))
                )
            except Exception as error:
                self._metrics.shadow_failed(copy.model, copy.version)
                if not isinstance(error, GatewayError):
                    log.exception("model %s: version %s could not be compared", copy.model, copy.version)
                else:
                    log.debug("model %s: version %s as a shadow: %s", copy.model, copy.version, error.message)
