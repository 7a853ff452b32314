"""The container's memory and its limit, from the files of control groups of both versions."""

from pathlib import Path

import pytest

from serving.gateway.observability.container_memory import ContainerMemory

VERSION_2 = {"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 500\ninactive_file 300\n"}
VERSION_1 = {
    "memory.limit_in_bytes": "1000",
    "memory.usage_in_bytes": "900",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
}


def group(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def values(*groups: Path) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in ContainerMemory(groups).collect()}


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_the_working_set_leaves_out_inactive_file_pages(files: dict[str, str], tmp_path: Path) -> None:
    expected = {"vitrine_memory_limit_bytes": 1000, "vitrine_memory_bytes": 600}
    assert values(group(tmp_path / "own", files)) == expected


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    own = group(tmp_path / "own", VERSION_2)
    pod = group(tmp_path / "pod", VERSION_2 | {"memory.max": "800", "memory.current": "700"})
    top = group(tmp_path / "top", VERSION_2 | {"memory.max": "max"})
    assert values(own, pod, top) == {"vitrine_memory_limit_bytes": 800, "vitrine_memory_bytes": 400}


def test_without_a_limit_there_are_no_metrics(tmp_path: Path) -> None:
    assert values() == {}
    assert values(group(tmp_path / "own", VERSION_2 | {"memory.max": "max"})) == {}


def test_a_file_that_disappears_gives_no_metrics(tmp_path: Path) -> None:
    own = group(tmp_path / "own", VERSION_2)
    memory = ContainerMemory([own])
    (own / "memory.stat").unlink()
    assert list(memory.collect()) == []
