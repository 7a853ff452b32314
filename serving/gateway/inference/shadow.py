"""Shadow traffic: send copies of answered requests to a second version, and compare its outputs.

No client waits for it. Copies wait in a short queue, bounded by number and bytes; a full queue drops and counts them.
One copy is sent at a time, so that a slow shadow gets fewer copies instead of more of the model server.
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

_MAX_REQUESTS = 64
_MAX_BYTES = 32_000_000  # of reserved memory; a larger copy waits alone

log = logging.getLogger("vitrine.shadow")

#: Sends the request to the shadow; returns its outputs and its labels.
Send = Callable[[], Awaitable[tuple[Outputs, Sequence[str]]]]


@dataclass(frozen=True)
class ShadowRequest:
    """Copy of an answered request.

    Attributes:
        model: the model's name.
        version: the shadow.
        outputs: the outputs in the response.
        labels: the labels of their classes.
        send: sends the request to the shadow.
        size: reserved bytes.
        memory: the request's reservation, kept until the shadow has answered.
    """

    model: str
    version: int
    outputs: Outputs
    labels: Sequence[str]
    send: Send
    size: int
    memory: Reservation


class Shadows:
    """The queue of all shadows, and the task that sends from it while it is not empty."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._queue: deque[ShadowRequest] = deque()
        self._bytes = 0
        self._worker: asyncio.Task[None] | None = None

    def offer(self, request: ShadowRequest) -> None:
        """Queue a request, or drop it if the queue is full."""
        if len(self._queue) == _MAX_REQUESTS or (self._queue and self._bytes + request.size > _MAX_BYTES):
            self._metrics.shadow_dropped(request.model, request.version)
            return
        request.memory.enter()
        self._queue.append(request)
        self._bytes += request.size
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Drop all requests."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            request = self._queue.popleft()
            self._bytes -= request.size
            try:
                outputs, labels = await request.send()
                self._metrics.shadow_compared(
                    request.model, request.version, compare(request.outputs, outputs, (request.labels, labels))
                )
            except (GatewayError, Stopped) as error:  # Stopped: the client disconnected before the response
                self._metrics.shadow_failed(request.model, request.version)
                log.debug("model %s: shadow version %s: %r", request.model, request.version, error)
            except Exception:
                self._metrics.shadow_failed(request.model, request.version)
                log.exception("model %s: shadow version %s could not be compared", request.model, request.version)
            finally:
                request.memory.leave()
