"""The client under whose load faults happen, and the figures of its requests."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.programs import Program

SLOW = 1.0  # seconds
HEAD = ("phase", "sent", "lost", "wrong", "sent again", "over 1 s", "slowest s", "last lost or slow after s")


@dataclass(frozen=True)
class Record:
    """The outcome of one request: answered, lost or wrong. Times are seconds of the monotonic clock."""

    sent: float
    seconds: float
    outcome: str
    reason: str
    tries: int
    version: int | None = None


@dataclass(frozen=True)
class Figures:
    """Figures of one phase.

    Attributes:
        phase: Name of the phase.
        sent: Number of requests.
        lost: Requests without a response of status 200.
        wrong: Requests with a wrong response.
        retried: Requests that the client sent again because a connection failed.
        slow: Requests that took longer than SLOW.
        slowest: Seconds of the slowest request.
        recovered: Seconds from the start of the phase to the last lost or slow request.
        reasons: Reasons of lost and wrong requests.
        shares: Share of the calls by model server, if there are several.
    """

    phase: str
    sent: int
    lost: int
    wrong: int
    retried: int
    slow: int
    slowest: float
    recovered: float
    reasons: tuple[str, ...]
    shares: dict[str, float] = field(default_factory=dict)

    def row(self) -> tuple[object, ...]:
        """Return the cells below HEAD."""
        counts = (self.phase, self.sent, self.lost, self.wrong, self.retried, self.slow)
        return (*counts, f"{self.slowest:.2f}", f"{self.recovered:.1f}")


def load_arguments(rate: float, addresses: Sequence[str]) -> list[str]:
    """Return the arguments of Python that run the client."""
    return ["-m", "tests.faults.load", str(rate), *addresses]


class LoadClient:
    """Reads the records of a running ``tests.faults.load``."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._lines_read = 0
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        """Return the records of all finished requests."""
        lines = self._program.output.splitlines()
        self._records += [Record(**json.loads(line)) for line in lines[self._lines_read :]]
        self._lines_read = len(lines)
        return self._records

    def wait_for_answers(self, count: int, timeout: float = 120) -> None:
        """Wait until this number of requests, sent from now on, are answered."""
        now = time.monotonic()
        self._program.wait_until(
            lambda: sum(one.sent >= now and one.outcome == "answered" for one in self.records()) >= count, timeout
        )

    def wait_for_version(self, version: int, count: int) -> None:
        """Wait until this version alone has answered the latest requests."""
        self._program.wait_until(
            lambda: {one.version for one in self.records()[-count:] if one.outcome == "answered"} == {version}, 120
        )

    def figures(self, phase: str, started: float, ended: float) -> Figures:
        """Return the figures of the requests that were sent in an interval."""
        self._program.wait_until(lambda: bool(self.records()) and self.records()[-1].sent > ended, 60)
        inside = [one for one in self.records() if started <= one.sent < ended]
        failed = [one for one in inside if one.outcome != "answered"]
        late = [one for one in inside if one.outcome != "answered" or one.seconds > SLOW]
        return Figures(
            phase=phase,
            sent=len(inside),
            lost=sum(one.outcome == "lost" for one in inside),
            wrong=sum(one.outcome == "wrong" for one in inside),
            retried=sum(one.tries > 1 for one in inside),
            slow=sum(one.seconds > SLOW for one in inside),
            slowest=max(one.seconds for one in inside),
            recovered=max((one.sent - started for one in late), default=0.0),
            reasons=tuple(sorted({one.reason for one in failed})),
        )
