"""Sources of data: VITRINE_DATA and downloads."""

from pathlib import Path

import pytest

from training.core.errors import JobError
from training.data import sources


def unreachable() -> None:
    raise OSError("no network")


def test_a_data_folder_that_does_not_exist_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path / "nothing"))
    with pytest.raises(JobError, match=r"VITRINE_DATA is .*nothing, which is not a folder"):
        sources.local("mnist.npz")


def test_a_data_folder_without_the_set_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    assert sources.local("mnist.npz") is None
    with pytest.raises(JobError, match=r"\(no network\).* holds mnist.npz \(the current one does not\), or train"):
        sources.download("MNIST", unreachable, "mnist.npz")
    monkeypatch.delenv("VITRINE_DATA")
    assert sources.local("mnist.npz") is None
    with pytest.raises(JobError, match=r"holds mnist.npz, or train on a synthetic stand-in with --stand-in\.$"):
        sources.download("MNIST", unreachable, "mnist.npz")
