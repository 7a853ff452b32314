"""How many workers, and each one's share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.gateway.settings import Settings
from serving.gateway.workers import limits

MB = 1_000_000


@pytest.mark.parametrize(
    ("processors", "memory", "budget", "expected"),
    [
        (4, None, 256 * MB, 4),
        (2.9, None, 256 * MB, 2),
        (0.5, None, 256 * MB, 1),
        (8, 256 * MB + 3 * limits.WORKER_BYTES, 256 * MB, 3),
        (8, 256 * MB + 3 * limits.WORKER_BYTES - 1, 256 * MB, 2),
        (8, 100 * MB, 256 * MB, 1),
        (8, None, 256 * MB, 4),
        (8, None, 512 * MB, 8),
        (8, None, 32 * MB, 1),
    ],
)
def test_automatic_is_the_least_of_processors_memory_and_budget(
    processors: float, memory: int | None, budget: int, expected: int
) -> None:
    assert limits.automatic(processors, memory, budget, 32 * MB) == expected


VERSION_1 = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n"


def test_quotas_and_memory_limits_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    for path, text in {
        "two/kubepods/pod/cpu.max": "max 100000",
        "two/kubepods/pod/memory.max": "max",
        "two/kubepods/cpu.max": "250000 100000",
        "two/kubepods/memory.max": "671088640",
        "one/memory/docker/abc/memory.limit_in_bytes": "536870912",
        "one/memory/memory.limit_in_bytes": "9223372036854771712",
        "one/cpu,cpuacct/cpu.cfs_quota_us": "150000",  # as a container sees it: its own group is the top
        "one/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "one/cpu,cpuacct/docker/cpu.cfs_quota_us": "-1",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")
    two = limits.control_groups("0::/kubepods/pod\n", tmp_path / "two")
    assert (limits.quotas(two), limits.memory_limits(two)) == ([2.5], [671088640])
    one = limits.control_groups(VERSION_1, tmp_path / "one")
    assert (limits.quotas(one), limits.memory_limits(one)) == ([1.5], [536870912])
    assert limits.control_groups("", tmp_path) == []


def test_affinity_bounds_the_processors() -> None:
    program = "from serving.gateway.workers import limits; print(limits.processors())"
    one = sorted(os.sched_getaffinity(0))[:1]
    printed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, one),
    ).stdout
    assert float(printed) <= 1


def test_a_share_is_rounded_up_and_other_limits_stay() -> None:
    whole = Settings(
        max_in_flight=10, max_queue_rows=7, max_bytes_in_flight=1001, decode_threads=1, drift_per_second=6, max_rows=9
    )
    share = limits.share(whole, 4)
    assert (share.max_in_flight, share.max_queue_rows, share.max_bytes_in_flight) == (3, 2, 251)
    assert (share.decode_threads, share.drift_per_second) == (1, 1.5)
    assert (share.max_rows, share.calls_per_signature) == (9, whole.calls_per_signature)
    assert Settings(**share.model_dump(mode="json", exclude_unset=True)) == share
