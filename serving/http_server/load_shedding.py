"""Refuse requests before they are parsed while the process is overloaded.

Above its capacity a server that accepts everything answers late, and clients give up before their response: its work is
lost. So the process is overloaded once it is saturated and the requests in progress, with those of connections that
wait to be accepted, need more than ``delay_seconds`` of processor time, as measured. From then on only as many run as
need a fifth of that, and the others are refused, until none had to be refused for a while. Callers that wait for each
response, however many, rarely come to that; arrivals that do not wait come to it at once. Time that requests wait for
another server does not count.

A refusal must cost a fraction of a request: it looks for the end of the request in the bytes as they arrive, and its
response is ready-made. Some requests of callers that use less than their share are accepted beyond the limit, so that
one caller does not starve the others. See docs/decisions/load-shedding.md.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from time import perf_counter, process_time

_TICK_SECONDS = 0.02
_KEPT = 0.9  # of the sums of the ticks before
_REFUSAL_SECONDS = 15e-6  # least processor time of a refusal
_SATURATED = 0.9  # share of a tick that the process computed
_FEWEST_WAITING = 256  # requests in progress that are never an overload
_FEWEST = 16  # requests that may run in an overload: batches need company
_SHARE_IN_OVERLOAD = 0.2
_CALM_TICKS = 10  # without a refusal, until the overload is over
_RESERVE = 1.5  # callers below their share may exceed the limit by this factor
_MAX_CALLERS = 1000  # most callers whose use is counted
_KNOWN_HEADS = 1000
_KNOWN_HEAD_BYTES = 2048  # longest head that is remembered

#: A whole request that names its length once; its caller is a key or an address. Others are parsed as ever.
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r\n")
_KEY = re.compile(rb"\r\n(?:authorization|x-api-key):([^\r]*)")


class LoadShedder:
    """Decides for all connections of one process."""

    def __init__(
        self,
        delay_seconds: float,
        is_refusable: Callable[[bytes], object],
        refusal: bytes,
        on_refused: Callable[[int], None],
    ) -> None:
        """Create a shedder that accepts everything until the process is saturated.

        Args:
            delay_seconds: processor time that requests in progress may need together; 0 refuses nothing.
            is_refusable: whether the beginning of a request names something that may be refused.
            refusal: the response, head and body.
            on_refused: called with the number of requests that were refused, at most every 20 ms.
        """
        self.is_overloaded = False
        self.count_unaccepted: Callable[[], int] = lambda: 0  # connections that wait to be accepted
        self.refusal = refusal
        self.last_refusal = refusal.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        self.running = 0
        self._delay = delay_seconds
        self._is_refusable = is_refusable
        self._on_refused = on_refused
        self._most = _FEWEST_WAITING  # requests in progress that are no overload
        self._limit = self._reserve = _FEWEST  # in an overload: for all callers; for those below their share
        self._share = 0.0
        self._is_saturated = False
        self._calm_ticks = 0
        self._recent_busy = self._recent_finished = 0.0
        self._finished = self._refused = 0
        self._accepted: Counter[bytes] = Counter()  # by caller, of the last ticks
        self._heads: dict[bytes, tuple[int, bytes]] = {}  # the length of their requests, and their key
        self._at = self._computed = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> None:
        """Count a request that begins."""
        self.running += 1
        if self.running > self._most and self._is_saturated and not self.is_overloaded:
            self._change(True)
        if self._loop is None and self._delay:
            self._loop = asyncio.get_running_loop()
            self._at, self._computed = perf_counter(), process_time()
            self._loop.call_later(_TICK_SECONDS, self._tick)

    def leave(self) -> None:
        """Count a request that ends."""
        self.running -= 1
        self._finished += 1

    @property
    def is_full(self) -> bool:
        """Whether a request that was parsed is refused: one that came in parts, in an overload."""
        return self.is_overloaded and self.running > self._reserve

    def accepts(self, data: bytes, address: bytes) -> bool | None:
        """Whether the bytes are a whole request that is accepted; None if they are not one that may be refused.

        Call it only during an overload.

        Args:
            data: what a connection received that has no other request under way.
            address: the client's.
        """
        head = data[: data.find(b"\r\n\r\n") + 4]
        request = self._heads.get(head) or self._read(head)
        if len(data) != request[0]:
            return None
        caller = request[1] or address
        own = self._accepted.get(caller, 0)
        if self.running < self._limit or (own < self._share and self.running < self._reserve):
            self._accepted[caller] = own + 1
            return True
        self._refused += 1
        return False

    def _read(self, head: bytes) -> tuple[int, bytes]:
        """Return the length of the whole request and its key; -1 if it is not one that may be refused.

        Most heads are those of other requests, byte for byte, and looking them up takes less time than reading them.
        """
        lower = head[:-2].lower()
        length, key = _LENGTH.search(lower), _KEY.search(lower)
        is_plain = (
            length is not None
            and lower.count(b"content-length") == 1
            and b"transfer-encoding" not in lower
            and b"upgrade" not in lower
            and self._is_refusable(head)
        )
        request = (len(head) + int(length[1]) if length and is_plain else -1, key[1] if key else b"")
        if len(head) <= _KNOWN_HEAD_BYTES:
            if len(self._heads) >= _KNOWN_HEADS:
                self._heads.clear()
            self._heads[head] = request
        return request

    def _change(self, is_overloaded: bool) -> None:
        self.is_overloaded = is_overloaded
        self._calm_ticks = 0

    def _tick(self) -> None:
        now, computed = perf_counter(), process_time()
        seconds, busy = now - self._at, computed - self._computed
        self._at, self._computed = now, computed
        # Sums, because requests of one batch finish together, and their processor time may be that of earlier ticks.
        self._recent_finished = _KEPT * self._recent_finished + self._finished
        self._recent_busy = _KEPT * self._recent_busy + max(busy - self._refused * _REFUSAL_SECONDS, 0)
        in_delay = int(self._delay * self._recent_finished / max(self._recent_busy, 1e-6))
        self._most = max(_FEWEST_WAITING, in_delay)
        self._limit = max(_FEWEST, int(in_delay * _SHARE_IN_OVERLOAD))
        self._reserve = int(self._limit * _RESERVE)
        self._is_saturated = busy > _SATURATED * seconds or seconds - _TICK_SECONDS > self._delay
        self._calm_ticks = 0 if self._refused else self._calm_ticks + 1
        if self._is_saturated and not self.is_overloaded and self.running + self.count_unaccepted() > self._most:
            self._change(True)
        if self.is_overloaded and self._calm_ticks >= _CALM_TICKS:
            self._change(False)
        self._share = self._accepted.total() / (len(self._accepted) + 1)
        # Halved, so that it is the use of the last ticks.
        halves = {caller: count // 2 for caller, count in self._accepted.most_common(_MAX_CALLERS) if count > 1}
        self._accepted = Counter(halves)
        if self._refused:
            self._on_refused(self._refused)
        idle = not (self.running or self._finished or self._refused or self.is_overloaded)
        self._finished = self._refused = 0
        if idle:
            self._loop = None
        else:
            assert self._loop is not None
            self._loop.call_later(_TICK_SECONDS, self._tick)
