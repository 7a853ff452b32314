"""What is measured, in which order, and figures from the results."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.gateway.closed_loop import Slice
from benchmarks.gateway.open_loop import Arrivals

#: Milliseconds after its arrival by which a request of an open loop has to be answered.
IN_TIME = 100.0


@dataclass(frozen=True)
class Load:
    """A kind of request, and either a number of callers or a rate of arrivals a second."""

    title: str
    kind: str
    callers: int = 0
    rate: int = 0


LOADS = (
    Load("1 caller", "picture", callers=1),
    Load("16 callers", "picture", callers=16),
    Load("64 callers", "picture", callers=64),
    Load("256 callers", "picture", callers=256),
    Load("1,000 arrivals/s", "picture", rate=1000),
    Load("2,000 arrivals/s", "picture", rate=2000),
    Load("4,000 arrivals/s", "picture", rate=4000),
    Load("128 pictures as npy, 1 caller", "rows", callers=1),
    Load("128 pictures as npy, 4 callers", "rows", callers=4),
    Load("640×480 photo, 1 caller", "photo", callers=1),
    Load("640×480 photo, 16 callers", "photo", callers=16),
)


@dataclass
class Cell:
    """Measurements of one server under one load.

    ``cpu`` is the processor time of the server's processes in each slice, in seconds. Warm-ups are not timed, but their
    errors and wrong responses count.
    """

    slices: list[Slice | Arrivals] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    warm_ups: list[Slice] = field(default_factory=list)

    def add(self, piece: Slice | Arrivals, cpu: float, warm_up: Slice) -> None:
        self.slices.append(piece)
        self.cpu.append(cpu)
        self.warm_ups.append(warm_up)


@dataclass(frozen=True)
class Figures:
    """Figures of a cell. Latencies are milliseconds; ``client_share`` is the load's share of one core.

    ``in_time`` is the share of arrivals with a correct response within :data:`IN_TIME`. In an open loop the latency of
    a request that was refused or given up is infinite, written as None. ``rounds`` are the rates of the slices.
    """

    responses: int
    per_second: float
    p50: float | None
    p99: float | None
    in_time: float
    cpu_ms: float | None
    errors: int
    wrong: int
    client_share: float
    rounds: tuple[float, ...]
    complaint: str

    def as_dict(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def schedule(servers: Sequence[str], loads: Sequence[Load], rounds: int) -> Iterator[tuple[str, Load]]:
    """Yield each server under each load once per round, starting with a different server each time.

    So other work on the machine affects all servers, and never all slices of one cell.
    """
    for number in range(rounds):
        first = number % len(servers)
        for load in loads:
            for name in (*servers[first:], *servers[:first]):
                yield name, load


def figures(cell: Cell) -> Figures:
    """Compute the figures of all slices of a cell. The rate counts correct responses only."""
    answered = [latency * 1e3 for piece in cell.slices for latency in _latencies(piece)]
    lost = sum(len(piece.refused) + len(piece.given_up) + piece.unsent for piece in _open(cell))
    seconds = sum(piece.seconds for piece in cell.slices)
    checked = cell.slices + cell.warm_ups
    errors = sum(piece.broken if isinstance(piece, Arrivals) else piece.errors for piece in checked)
    closed_wrong = sum(piece.wrong for piece in cell.slices if isinstance(piece, Slice))
    latencies = np.array(answered + [np.inf] * (lost + sum(piece.broken + piece.wrong for piece in _open(cell))))
    return Figures(
        responses=len(answered),
        per_second=(len(answered) - closed_wrong) / seconds if seconds else 0.0,
        p50=_quantile(latencies, 0.5),
        p99=_quantile(latencies, 0.99),
        in_time=float(np.mean(latencies <= IN_TIME)) if len(latencies) else 0.0,
        cpu_ms=sum(cell.cpu) / len(answered) * 1e3 if answered else None,
        errors=errors,
        wrong=sum(piece.wrong for piece in checked),
        client_share=sum(_client_cpu(piece) for piece in cell.slices) / seconds if seconds else 0.0,
        rounds=tuple(round(len(_latencies(one)) / one.seconds, 1) if one.seconds else 0.0 for one in cell.slices),
        complaint=next((piece.complaint for piece in checked if piece.complaint), ""),
    )


def _open(cell: Cell) -> list[Arrivals]:
    return [piece for piece in cell.slices if isinstance(piece, Arrivals)]


def _latencies(piece: Slice | Arrivals) -> list[float]:
    return piece.latencies if isinstance(piece, Slice) else [latency for _, latency in piece.accepted]


def _client_cpu(piece: Slice | Arrivals) -> float:
    return piece.client_cpu if isinstance(piece, Slice) else piece.client_cpu * piece.seconds


def _quantile(latencies: np.ndarray, share: float) -> float | None:
    found = float(np.quantile(latencies, share, method="higher")) if len(latencies) else np.inf
    return found if np.isfinite(found) else None
