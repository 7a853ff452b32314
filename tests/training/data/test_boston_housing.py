"""Boston Housing: Keras' split and the course's scaling."""

from pathlib import Path

import numpy as np
import pytest

from training.core.errors import JobError
from training.data import boston_housing


def test_the_split_is_keras_own(data: Path) -> None:
    examples = boston_housing.load()
    assert examples.train[0].shape == (404, 13) and examples.test[0].shape == (102, 13)
    assert examples.train[1][:4].tolist() == pytest.approx([15.2, 42.3, 50.0, 21.1])
    assert examples.test[1][:3].tolist() == pytest.approx([7.2, 18.8, 19.0])
    assert examples.extra["rows"][0, 0] == pytest.approx(18.0846)


def test_z_scores_come_from_the_training_part(data: Path) -> None:
    examples = boston_housing.load()
    np.testing.assert_allclose(examples.train[0].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(examples.train[0].std(axis=0), 1, atol=1e-5)
    assert np.abs(examples.test[0].mean(axis=0)).max() > 0.01
    scaled = (examples.extra["rows"] - examples.extra["center"]) / examples.extra["scale"]
    np.testing.assert_allclose(scaled, examples.test[0], atol=1e-4)
    assert list(examples.inputs) == [column.name for column in boston_housing.RECIPE.columns]


@pytest.mark.parametrize("content", [b"", b"PK\3\4 half a file", b"no archive"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "boston_housing.npz").write_bytes(content)
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    with pytest.raises(JobError, match="Boston Housing in VITRINE_DATA cannot be read"):
        boston_housing.load()
