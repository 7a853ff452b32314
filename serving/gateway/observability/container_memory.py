"""Memory of the gateway's container and its limit, as metrics. Without a limit there are none.

The value is the working set, by which the kubelet and the kernel decide: all memory of the control group except file
pages that were not used for long.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.gateway.workers import limits

_IN_USE = ("memory.current", "memory.usage_in_bytes")  # control groups of version 2, of version 1
_INACTIVE = ("inactive_file", "total_inactive_file")


class ContainerMemory(Collector):
    """Reads the control group with the smallest limit at each scrape."""

    def __init__(self, groups: Sequence[Path]) -> None:
        """``groups`` are this process' control groups (:func:`serving.gateway.workers.limits.own_groups`)."""
        limited = {group: limit for group in groups for limit in limits.memory_limits([group])}
        self._group = min(limited, key=limited.__getitem__, default=None)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the values depend on the process."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return both metrics, or nothing if they cannot be read."""
        if self._group is None:
            return
        limit = limits.memory_limits([self._group])
        in_use = _working_set(self._group)
        if limit and in_use is not None:
            yield GaugeMetricFamily("vitrine_memory_limit_bytes", "Memory limit of the container.", limit[0])
            help_text = "Memory of the container that counts against its limit: its working set."
            yield GaugeMetricFamily("vitrine_memory_bytes", help_text, in_use)


def _working_set(group: Path) -> int | None:
    for current, inactive in zip(_IN_USE, _INACTIVE, strict=True):
        try:
            total = int((group / current).read_text("ascii"))
            statistics = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue
        return max(0, total - int(statistics.get(inactive, 0)))
    return None
