"""The aspired versions of base paths, and what the source logs."""

import logging
from pathlib import Path

import pytest

from serving.artifacts.models_config import ModelConfig, aspired_versions
from serving.model_server.core.source import FileSystemSource, mounted


@pytest.mark.parametrize(
    ("policy", "found", "expected"),
    [
        ({}, [1, 2, 3], [3]),
        ({}, [], []),
        ({"latest": 2}, [3, 1, 2], [2, 3]),
        ({"latest": 5}, [1, 2], [1, 2]),
        ({"latest": None}, [2, 1, 9], [1, 2, 9]),
        ({"specific": (1, 7)}, [1, 2, 3], [1]),
        ({"specific": (7,)}, [1], []),
    ],
)
def test_aspired_versions(policy: dict[str, object], found: list[int], expected: list[int]) -> None:
    assert aspired_versions(ModelConfig("m", "/m", **policy), found) == expected


def test_only_directories_named_by_a_number_are_versions(tmp_path: Path) -> None:
    for name in ("1", "007", "v2", ".staging-x", "-3", "1.5", "９", str(2**63), str(2**63 - 1)):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    found = FileSystemSource().poll([ModelConfig("m", str(tmp_path), latest=None)])
    assert found == {"m": {1: tmp_path / "1", 7: tmp_path / "007", 2**63 - 1: tmp_path / str(2**63 - 1)}}


def test_missing_base_path_is_logged_once_and_unloads_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "here" / "1").mkdir(parents=True)
    models = [ModelConfig("here", str(tmp_path / "here")), ModelConfig("away", str(tmp_path / "away"))]
    source = FileSystemSource()
    for _ in range(3):
        assert source.poll(models) == {"here": {1: tmp_path / "here" / "1"}}
    assert [entry.message for entry in caplog.records] == [
        "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
        f"{tmp_path / 'away'} for servable away with error No such file or directory"
    ]


def test_base_path_without_versions_is_logged_once_per_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, models = FileSystemSource(), [ModelConfig("m", str(tmp_path))]
    assert source.poll(models) == source.poll(models) == {"m": {}}
    (tmp_path / "1").mkdir()
    assert source.poll(models)["m"]
    (tmp_path / "1").rmdir()
    source.poll(models)
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[0].message == (
        f"No versions of servable m found under base path {tmp_path}. "
        "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    )


def test_missing_specific_version_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1").mkdir()
    assert list(FileSystemSource().poll([ModelConfig("m", str(tmp_path), specific=(1, 2))])["m"]) == [1]
    assert caplog.records[0].message.startswith("Version 2 of servable m, which was requested to be served")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/models/m", "/data/exports/m"), ("/models", "/data/exports"), ("/modelsX/m", "/modelsX/m"), ("/m", "/m")],
)
def test_mounts(path: str, expected: str) -> None:
    assert mounted(Path(path), [(Path("/models"), Path("/data/exports"))]) == Path(expected)
