"""How many workers, and each one's share of the limits."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from serving.gateway.settings import Settings

#: Resident memory of one worker that runs the shipped models itself, without the memory of requests.
WORKER_BYTES = 160_000_000
#: Settings that several workers divide.
DIVIDED = ("max_in_flight", "max_queue_rows", "max_bytes_in_flight", "decode_threads", "request_log_queue_bytes")
_NO_LIMIT = 1 << 60  # version 1 of control groups writes a number near 2 ** 63
_PERIOD = 100_000  # microseconds; Linux, Documentation/admin-guide/cgroup-v2.rst


def worker_count(settings: Settings) -> int:
    """Return the number of workers; ``auto`` depends on the processors and the memory of this process."""
    if settings.workers != "auto":
        return settings.workers
    return automatic(processors(), memory_limit(), settings.max_bytes_in_flight, settings.max_body_bytes)


def automatic(processors: float, memory: int | None, memory_budget: int, max_body: int) -> int:
    """Return one worker for each whole processor, as far as the memory allows.

    Args:
        processors: number that this process may use.
        memory: limit in bytes; None if unlimited.
        memory_budget: for the requests of all workers, in bytes. A worker's share must fit two of the largest bodies.
        max_body: size of the largest body, in bytes.
    """
    by_memory = math.inf if memory is None else (memory - memory_budget) // WORKER_BYTES
    by_budget = memory_budget // (2 * max_body)
    return max(1, int(min(processors, by_memory, by_budget)))


def share(settings: Settings, workers: int) -> Settings:
    """Return the settings of one of several workers: limits of the whole gateway are divided, and rounded up."""
    parts = {name: math.ceil(getattr(settings, name) / workers) for name in DIVIDED}
    drift = settings.drift_per_second / workers
    return settings.model_copy(update={"workers": workers, "drift_per_second": drift, **parts})


def processors() -> float:
    """Return the number of processors that this process may use, by its affinity and its control groups."""
    return min([len(os.sched_getaffinity(0)), *quotas(own_groups())])


def memory_limit() -> int | None:
    """Return the memory limit of this process' control groups in bytes; None if unlimited."""
    return min(memory_limits(own_groups()), default=None)


def quotas(groups: Sequence[Path]) -> list[float]:
    """Return the processor quotas of control groups (version 1 or 2). Groups without a quota are omitted."""
    return [quota for group in groups if (quota := _quota(group)) is not None]


def memory_limits(groups: Sequence[Path]) -> list[int]:
    """Return the memory limits of control groups (version 1 or 2), in bytes. Groups without a limit are omitted."""
    texts = [_read(group / "memory.max") or _read(group / "memory.limit_in_bytes") for group in groups]
    limits = [int(text) for text in texts if text and text.isdecimal()]
    return [limit for limit in limits if limit < _NO_LIMIT]


def control_groups(text: str, mounts: Path) -> list[Path]:
    """Return the control groups of a process and all their parents.

    Args:
        text: content of ``/proc/PID/cgroup``.
        mounts: folder where the hierarchies are mounted. Inside a container the process' own group may be mounted as
            the top of the hierarchy.
    """
    folders = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if {"", "memory", "cpu"} & {*controllers.split(",")}:  # version 2 has no names here
            top = mounts / controllers if controllers else mounts
            own = top / path.lstrip("/")
            folders += [own, *(above for above in own.parents if above.is_relative_to(top))]
    return list(dict.fromkeys(folders))


def own_groups() -> list[Path]:
    """Return the control groups of this process and their parents."""
    return control_groups(_read(Path("/proc/self/cgroup")) or "", Path("/sys/fs/cgroup"))


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
