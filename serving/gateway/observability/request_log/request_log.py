"""The request log's queue, and the thread that writes it.

A request only puts references into a bounded queue. A thread looks at the queue several times a second, encodes the
entries and writes them, so that no answer waits for the log and no request wakes the thread. While the target fails,
the thread retries with back-off, entries fill the queue, and further ones are dropped and counted.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from serving.counters import Counter
from serving.gateway.http.paths import parse_target
from serving.gateway.http.request import Request, Response
from serving.gateway.observability.request_log.entry import Entry
from serving.gateway.observability.request_log.redaction import Redaction
from serving.gateway.observability.request_log.settings import RequestLogSettings

_TICK_SECONDS = 0.25
_FLUSH_SECONDS = 3.0  # at shutdown; below the supervisor's margin
_LONGEST = 200  # characters of a path, label or media type that a caller made up
_FIRST_BACKOFF, _MAX_BACKOFF = 1.0, 30.0

log = logging.getLogger("vitrine.request_log")


class LogTarget(Protocol):
    """Where the entries go."""

    #: Bytes and seconds at which waiting entries are written.
    batch_bytes: int
    batch_seconds: float
    #: Entries that the target has refused for good.
    rejected: int

    def write(self, entries: deque[Entry]) -> None:
        """Write entries, and remove those that need no second attempt.

        Raises:
            OSError: the target failed; the remaining entries may be written later.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class RequestLog:
    """Collects entries of one process."""

    def __init__(
        self,
        settings: RequestLogSettings,
        target: LogTarget,
        takes_pictures: Callable[[str, int | None], bool],
        written: Counter,
        dropped: Counter,
    ) -> None:
        """Start the thread.

        Args:
            settings: sample, limits and redaction.
            target: where the entries go.
            takes_pictures: whether a version of a model, or a model, takes pictures.
            written: counts written entries.
            dropped: counts dropped entries by reason.
        """
        self.sample = settings.request_log_sample
        self.max_bytes = settings.request_log_max_bytes
        self._queue_bytes = settings.request_log_queue_bytes
        self._batch_bytes = min(target.batch_bytes, self._queue_bytes // 2)
        self._redaction = Redaction(settings.request_log_redact, settings.request_log_pictures)
        self._target = target
        self._takes_pictures = takes_pictures
        self._written, self._dropped = written, dropped
        written.add((), by=0)
        for reason in ("queue_full", "rejected", "failed", "shutdown"):
            dropped.add((reason,), by=0)  # threads may only add to series that exist
        self._queue: deque[Entry] = deque()
        self._batch: deque[Entry] = deque()
        self._batch_size = 0
        self._batch_since = 0.0
        # Each is changed by one thread alone. Their difference is the memory of waiting entries.
        self._offered_bytes = 0
        self._finished_bytes = 0
        self._backoff = 0.0
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def samples(self) -> bool:
        """Whether to log the next request."""
        return random.random() < self.sample  # nosec B311 # a sample of the log

    def offer_request(self, request: Request, response: Response, verb: str, seconds: float) -> None:
        """Queue an answered request that was sampled."""
        kept = request.content is not None or not request.size
        small = len(response.body) <= self.max_bytes
        media = request.header(b"content-type")[:_LONGEST].strip()
        label = parse_target(request.path).choice.label
        self.offer(
            Entry(
                event="request",
                time=time.time(),
                request_id=request.id,
                model=request.model,
                version=int(response.version) if response.version else None,
                label=label and label[:_LONGEST],
                verb=verb,
                path=request.path[:_LONGEST],
                status=response.status,
                seconds=seconds,
                body=(request.content or b"") if kept else None,
                body_type=media if media and media.isascii() and media.isprintable() else "application/octet-stream",
                body_bytes=request.size,
                answer=response.body if small else None,
                answer_type=response.content_type.decode("ascii"),
                answer_bytes=len(response.body),
            )
        )

    def offer(self, entry: Entry) -> None:
        """Queue an entry, or drop it if the queue is full."""
        size = entry.size
        if self._offered_bytes - self._finished_bytes + size > self._queue_bytes:
            self._dropped.add(("queue_full",))
            return
        self._offered_bytes += size
        self._queue.append(entry)

    def close(self) -> None:
        """Write the waiting entries, for a few seconds at most."""
        self._stop.set()
        self._thread.join(_FLUSH_SECONDS)
        left = len(self._queue) + len(self._batch)
        if left:
            self._dropped.add(("shutdown",), by=left)
            log.error("the request log could not write its last %d entries before the shutdown", left)

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            self._collect()
            now = time.monotonic()
            due = self._batch_size >= self._batch_bytes or now - self._batch_since >= self._target.batch_seconds
            if self._batch and due and now >= self._retry_at:
                self._write()
        self._collect()
        if self._batch:
            self._write()
        self._target.close()

    def _collect(self) -> None:
        """Encode queued entries for the next batch, while it has room."""
        while self._queue and self._batch_size < self._batch_bytes:
            time.sleep(0)  # releases the interpreter lock: the event loop runs between two entries
            entry = self._queue.popleft()
            try:
                is_picture = entry.event == "request" and self._takes_pictures(entry.model, entry.version)
                encoded = self._redaction.apply(entry, is_picture)
            except Exception:
                log.exception("an entry of the request log cannot be encoded", extra={"request_id": entry.request_id})
                self._dropped.add(("failed",))
                self._finished_bytes += entry.size
                continue
            if not self._batch:
                self._batch_since = time.monotonic()
            self._batch.append(encoded)
            self._batch_size += encoded.size
            self._finished_bytes += entry.size - encoded.size

    def _write(self) -> None:
        before, rejected_before = len(self._batch), self._target.rejected
        try:
            self._target.write(self._batch)
        except OSError as error:
            if not self._backoff:
                log.error("the request log cannot be written, and is retried: %s", error)
            self._backoff = min(max(2 * self._backoff, _FIRST_BACKOFF), _MAX_BACKOFF)
            self._retry_at = time.monotonic() + self._backoff
        except Exception:
            log.exception("the request log's entries cannot be written")
            self._dropped.add(("failed",), by=len(self._batch))
            before -= len(self._batch)
            self._batch.clear()
        else:
            if self._backoff:
                log.info("the request log is written again")
            self._backoff = self._retry_at = 0.0
        size = sum(entry.size for entry in self._batch)
        self._finished_bytes += self._batch_size - size
        self._batch_size = size
        rejected = self._target.rejected - rejected_before
        self._dropped.add(("rejected",), by=rejected)
        self._written.add((), by=before - len(self._batch) - rejected)
