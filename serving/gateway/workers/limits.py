"""How many workers, and each one's share of the limits."""

import math
import os
from pathlib import Path

from serving.gateway.settings import Settings

#: Resident memory of one worker with the shipped models in its own process, without what requests hold.
WORKER_BYTES = 160_000_000
#: Settings that several workers divide.
DIVIDED = ("max_in_flight", "max_queue_rows", "max_bytes_in_flight", "decode_threads")
_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD, _UNLIMITED = 100_000, "max"  # Linux, Documentation/admin-guide/cgroup-v2.rst


def worker_count(settings: Settings) -> int:
    """The number of workers; ``auto`` is what the processors and the memory of this process allow."""
    if settings.workers != "auto":
        return settings.workers
    return automatic(processors(), memory_limit(), settings.max_bytes_in_flight, settings.max_body_bytes)


def automatic(processors: float, memory: int | None, memory_budget: int, max_body: int) -> int:
    """One worker for each whole processor, as far as the memory allows.

    Args:
        processors: that this process may use.
        memory: limit in bytes; None if unlimited.
        memory_budget: what the requests of all workers may hold, in bytes. A worker's share holds two of the largest
            bodies.
        max_body: size of the largest body, in bytes.
    """
    by_memory = math.inf if memory is None else (memory - memory_budget) // WORKER_BYTES
    by_budget = memory_budget // (2 * max_body)
    return max(1, int(min(processors, by_memory, by_budget)))


def share(settings: Settings, workers: int) -> Settings:
    """The settings of one of several workers: limits on the whole gateway are divided, and rounded up."""
    parts = {name: math.ceil(getattr(settings, name) / workers) for name in DIVIDED}
    drift = settings.drift_per_second / workers
    return settings.model_copy(update={"workers": workers, "drift_per_second": drift, **parts})


def processors() -> float:
    """Processors that this process may use: its affinity and its control group's quota."""
    return min([len(os.sched_getaffinity(0)), *(quota for group in _groups() if (quota := _quota(group)))])


def memory_limit() -> int | None:
    """Memory limit of this process' control group in bytes; None if unlimited."""
    found = [_read(group / "memory.max") or _read(group / "memory.limit_in_bytes") for group in _groups()]
    limits = [int(text) for text in found if text and text != _UNLIMITED]
    return min(limits) if limits and min(limits) < 1 << 60 else None  # version 1 writes a huge number


def _groups() -> list[Path]:
    """Folders of this process' control groups, each with those above it; inside a container its own is the top."""
    folders = []
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        top = _CGROUPS / controllers if controllers else _CGROUPS
        if controllers in ("", "memory", "cpu,cpuacct"):
            own = top / path.lstrip("/")
            folders += [own, *(above for above in own.parents if above.is_relative_to(top))]
    return list(dict.fromkeys(folders))


def _quota(group: Path) -> float | None:
    text = _read(group / "cpu.max")
    if text is not None:
        quota, _, period = text.partition(" ")
    else:
        quota, period = _read(group / "cpu.cfs_quota_us") or "", _read(group / "cpu.cfs_period_us") or ""
    return int(quota) / int(period or _PERIOD) if quota.isdecimal() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return None
