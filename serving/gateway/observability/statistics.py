"""Statistics of each model version since it was loaded, for the Open Inference Protocol.

Requests count if their version is known: one that routing or admission refuses belongs to none.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from time import time
from typing import Any, Self


@dataclass(slots=True)
class Duration:
    """How often something happened, and the seconds that it took."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.count += 1
        self.seconds += seconds


@dataclass(slots=True)
class VersionStatistics:
    """Statistics of one version.

    Attributes:
        model: the model's name.
        version: the version's number.
        last: Unix time of the last answered request; 0 if there was none.
        success: answered requests.
        failed: requests that the version did not answer.
        decode: requests whose body became tensors.
        queue: tensors that waited for a call.
        calls: calls to the model server, by their number of rows.
    """

    model: str
    version: int
    last: float = 0.0
    success: Duration = field(default_factory=Duration)
    failed: Duration = field(default_factory=Duration)
    decode: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    calls: dict[int, Duration] = field(default_factory=dict)

    def answered(self, seconds: float) -> None:
        """Count an answered request."""
        self.success.add(seconds)
        self.last = time()

    def called(self, rows: int, seconds: float) -> None:
        """Count a call to the model server."""
        known = self.calls.get(rows)
        if known is None:
            known = self.calls[rows] = Duration()
        known.add(seconds)

    def report(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        calls = [[rows, duration.count, duration.seconds] for rows, duration in self.calls.items()]
        return {**asdict(self), "calls": calls}

    @classmethod
    def merged(cls, reports: Iterable[dict[str, Any]]) -> list[Self]:
        """Return the statistics of all workers together, in the order in which versions first appear."""
        merged: dict[tuple[str, int], Self] = {}
        for report in reports:
            key = report["model"], report["version"]
            one = merged.setdefault(key, cls(*key))
            one.last = max(one.last, report["last"])
            durations = {name: getattr(one, name) for name in ("success", "failed", "decode", "queue")}
            pairs = [(durations[name], report[name]["count"], report[name]["seconds"]) for name in durations]
            pairs += [
                (one.calls.setdefault(rows, Duration()), count, seconds) for rows, count, seconds in report["calls"]
            ]
            for duration, count, seconds in pairs:
                duration.count += count
                duration.seconds += seconds
        return list(merged.values())
