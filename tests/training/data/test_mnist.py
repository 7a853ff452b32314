"""MNIST from VITRINE_DATA."""

from pathlib import Path

import numpy as np
import pytest

from training.core.errors import JobError
from training.data import mnist


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    return tmp_path


def test_arrays_have_the_model_s_shapes(folder: Path) -> None:
    x, y = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8), np.array([5, 0, 4], np.uint8)
    np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    examples = mnist.load(at_most=2)
    assert (examples.train[0] == x[:2, ..., None]).all() and examples.train[1].tolist() == [5, 0]
    assert examples.test[0].shape == (1, 28, 28, 1) and examples.data.source == "mnist.npz in VITRINE_DATA"


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04 half", b"text"])
def test_a_broken_file_is_named(folder: Path, broken: bytes) -> None:
    (folder / "mnist.npz").write_bytes(broken)
    with pytest.raises(JobError, match=r"mnist\.npz in VITRINE_DATA cannot be read"):
        mnist.load()


def test_a_missing_array_is_named(folder: Path) -> None:
    np.savez(folder / "mnist.npz", x_train=np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(JobError, match="y_train"):
        mnist.load()
