"""Metrics as plain values, and their sum over workers.

Counters and histograms are added. Gauges are merged by their meaning: requests in flight and the resources of the
processes are added, a model is ready if it is ready in every worker, and other gauges take the largest value.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

#: Name of a sample, its labels, and its value.
Sample = tuple[str, dict[str, str], float]


class Family(TypedDict):
    """One metric: Prometheus' name, type and help, and the samples."""

    name: str
    type: str
    help: str
    samples: list[Sample]


_CUMULATIVE = ("counter", "histogram")
_GAUGES: dict[str, Callable[[Sequence[float]], float]] = {
    "vitrine_in_flight": sum,
    "vitrine_model_ready": min,
    "process_virtual_memory_bytes": sum,
    "process_resident_memory_bytes": sum,
    "process_open_fds": sum,
    "process_max_fds": min,
    "process_start_time_seconds": min,
}


def merge(snapshots: Iterable[Sequence[Family]]) -> list[Family]:
    """Merge the metrics of all workers, in the order in which they first appear."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], tuple[Sample, list[float]]]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        families.setdefault(family["name"], family)
        known = values.setdefault(family["name"], {})
        for sample in family["samples"]:
            name, labels, value = sample
            known.setdefault((name, frozenset(labels.items())), (sample, []))[1].append(value)
    return [
        {**family, "samples": [(name, labels, _rule(family)(found)) for (name, labels, _), found in of_name.values()]}
        for family, of_name in zip(families.values(), values.values(), strict=True)
    ]


def cumulative(snapshot: Sequence[Family]) -> list[Family]:
    """Return the metrics without gauges, which end with their process."""
    return [family for family in snapshot if family["type"] in _CUMULATIVE]


def _rule(family: Family) -> Callable[[Sequence[float]], float]:
    return sum if family["type"] in _CUMULATIVE else _GAUGES.get(family["name"], max)
