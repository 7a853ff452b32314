"""Directories without a loadable SavedModel."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.artifacts import manifest, saved_model
from tests.programs import shipped
from tests.serving.model_server import versions

INDEX = "variables/variables.index"
DATA = "variables/variables.data-00000-of-00002"


def cut(name: str) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        path = directory / name
        path.write_bytes(path.read_bytes()[:-9])

    return change


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A foreign version, without a manifest, and with variables."""
    directory = versions.write(tmp_path / "1")
    (directory / manifest.MANIFEST_FILE).unlink()
    (directory / "variables").mkdir()
    (directory / INDEX).write_bytes(bytes(40) + bytes.fromhex("57fb808b247547db"))  # pragma: allowlist secret
    for number in range(2):
        (directory / f"variables/variables.data-0000{number}-of-00002").write_bytes(b"x")
    return directory


def test_a_complete_saved_model(version: Path) -> None:
    assert saved_model.problem(version) is None
    shutil.rmtree(version / "variables")
    assert saved_model.problem(version) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: (d / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (cut("saved_model.pb"), "saved_model.pb is truncated or no SavedModel"),
        (lambda d: (d / "saved_model.pb").write_bytes(b""), "saved_model.pb holds no graph"),
        (lambda d: (d / INDEX).unlink(), f"{INDEX} is missing"),
        (cut(INDEX), f"{INDEX} is truncated or no checkpoint"),
        (lambda d: (d / DATA).unlink(), f"{DATA} is missing"),
        (
            lambda d: (d / DATA).rename(d / f"variables/variables.data-00000-of-{'9' * 40}"),
            "variables/variables.data-00001-of-99",
        ),
    ],
)
def test_problems(version: Path, change: Callable[[Path], None], problem: str) -> None:
    change(version)
    assert (saved_model.problem(version) or "").startswith(problem)


def test_other_formats_and_an_empty_folder(tmp_path: Path) -> None:
    assert saved_model.problem(tmp_path) == "its folder is empty"
    (tmp_path / "model.tflite").write_bytes(b"x")
    assert saved_model.problem(tmp_path) is None


@pytest.mark.parametrize("model", ["fashion_cnn", "sine_rnn"])
def test_shipped_versions_are_complete_without_their_manifest(tmp_path: Path, model: str) -> None:
    copy = shutil.copytree(shipped(model), tmp_path / "1")
    (copy / manifest.MANIFEST_FILE).unlink()
    assert saved_model.problem(copy) is None
