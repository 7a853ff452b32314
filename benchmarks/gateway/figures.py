"""Order of the measurements, and figures from their results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.gateway.load import Slice


@dataclass
class Cell:
    """Measurements of one server at one concurrency.

    ``cpu`` is the processor time of the server's processes in each slice, in seconds. Warm-ups are not timed, but their
    errors and wrong responses count.
    """

    slices: list[Slice] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    warm_ups: list[Slice] = field(default_factory=list)

    def add(self, piece: Slice, cpu: float, warm_up: Slice) -> None:
        self.slices.append(piece)
        self.cpu.append(cpu)
        self.warm_ups.append(warm_up)


@dataclass(frozen=True)
class Figures:
    """One table row. Latencies are milliseconds; ``client_share`` is the load's share of one core."""

    requests: int
    per_second: float
    p50: float
    p99: float
    cpu_ms: float
    errors: int
    wrong: int
    client_share: float
    rounds: tuple[float, ...]
    complaint: str

    def as_dict(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def schedule(names: Sequence[str], concurrencies: Sequence[int], rounds: int) -> Iterator[tuple[str, int]]:
    """Yield each server at each concurrency once per round, starting with a different server each time.

    So other load on the machine affects all servers, and never all slices of one cell.
    """
    for number in range(rounds):
        first = number % len(names)
        for concurrency in concurrencies:
            for name in (*names[first:], *names[:first]):
                yield name, concurrency


def figures(cell: Cell) -> Figures:
    """Compute the figures of all slices of a cell. The rate counts correct responses only."""
    latencies = np.array([latency for piece in cell.slices for latency in piece.latencies]) * 1e3
    seconds = sum(piece.seconds for piece in cell.slices)
    correct = len(latencies) - sum(piece.wrong for piece in cell.slices)
    checked = cell.slices + cell.warm_ups
    p50, p99 = np.percentile(latencies, (50, 99)).tolist() if len(latencies) else (float("nan"), float("nan"))
    return Figures(
        requests=len(latencies),
        per_second=correct / seconds if seconds else 0.0,
        p50=p50,
        p99=p99,
        cpu_ms=sum(cell.cpu) / len(latencies) * 1e3 if len(latencies) else float("nan"),
        errors=sum(piece.errors for piece in checked),
        wrong=sum(piece.wrong for piece in checked),
        client_share=sum(piece.client_cpu for piece in cell.slices) / seconds if seconds else 0.0,
        rounds=tuple(round(len(piece.latencies) / piece.seconds, 1) if piece.seconds else 0.0 for piece in cell.slices),
        complaint=next((piece.complaint for piece in checked if piece.complaint), ""),
    )


def ratios(ours: Mapping[int, Figures], other: Mapping[int, Figures]) -> dict[int, float]:
    """Divide our rate by another server's, by concurrency."""
    return {
        concurrency: row.per_second / other[concurrency].per_second if other[concurrency].per_second else float("inf")
        for concurrency, row in ours.items()
    }
