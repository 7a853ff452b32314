"""Load shedding under random schedules: it refuses only without a free place, counts to zero, and an overload ends."""

import pytest
from hypothesis.stateful import initialize, invariant, rule
from hypothesis.strategies import floats, integers, sampled_from

from serving.http_server import load_shedding
from tests.serving.http_server.recorded_shedder import RecordedShedder
from tests.virtual_time import Schedule

TICK = 0.02
POST = b"POST /model HTTP/1.1\r\nX-API-Key: %b\r\nContent-Length: 3\r\n\r\nabc"


class SheddingSchedule(Schedule):
    """Callers that do not wait for responses."""

    @initialize(delay=floats(0.01, 1))
    def begin(self, delay: float) -> None:
        self.computed = 0.0
        self.clock = pytest.MonkeyPatch()
        self.clock.setattr(load_shedding, "perf_counter", self.loop.time)
        self.clock.setattr(load_shedding, "process_time", lambda: self.computed)
        self.reported = self.refused = self.running = 0
        self.shedder = RecordedShedder(delay, lambda data: data.startswith(b"POST"), b"busy", self.report)

    def report(self, refused: int) -> None:
        assert refused > 0
        self.reported += refused

    @rule(caller=sampled_from((b"greedy", b"greedy", b"modest")), requests=integers(1, 400))
    def arrive(self, caller: bytes, requests: int) -> None:
        async def enter() -> None:
            for _ in range(requests):
                shedder = self.shedder
                if shedder.is_overloaded and shedder.accepts(POST % caller, b"") is False:
                    assert shedder.running >= shedder._limit, "a request was refused while places were free"
                    self.refused += 1
                    continue
                assert not shedder.is_overloaded or shedder.running < shedder._reserve
                shedder.enter()
                self.running += 1

        self.loop.run_until_complete(enter())

    @rule(share=floats(0, 1))
    def end(self, share: float) -> None:
        """Send responses, or lose connections."""
        ended = round(self.running * share)
        for _ in range(ended):
            self.shedder.leave()
        self.running -= ended

    @rule(ticks=integers(1, 12), busy=sampled_from((0.0, 0.5, 1.0)))
    def compute(self, ticks: int, busy: float) -> None:
        for _ in range(ticks):
            self.computed += TICK * busy
            self.loop.advance(TICK)

    @invariant()
    def counts_hold(self) -> None:
        assert self.shedder.running == self.running
        assert self.shedder.changes == [number % 2 == 0 for number in range(len(self.shedder.changes))]
        assert len(self.shedder._accepted) <= 3

    def finish(self) -> None:
        try:
            self.end(1)
            self.compute(20, 0)
            assert self.shedder.running == 0
            assert not self.shedder.is_overloaded, "an overload lasts without requests"
            assert self.shedder._loop is None, "a timer runs without requests"
            assert self.reported == self.refused
        finally:
            self.clock.undo()


TestSheddingSchedule = SheddingSchedule.TestCase
