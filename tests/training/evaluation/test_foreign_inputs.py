"""Foreign inputs: generated ones always, others from VITRINE_DATA, and never the training data itself."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.preprocessing.image import ImageRecipe
from tests.serving.preprocessing.picture_files.files import encoded
from training.evaluation import foreign_inputs

RECIPE = ImageRecipe(height=32, width=32, channels=1, colour="ink", crop=True, margin=0.1)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write ten digits and two photographs, one of them blank, and set VITRINE_DATA."""
    digits = np.zeros((10, 28, 28), np.uint8)
    digits[:, 4:24, 12:16] = 255
    np.savez(tmp_path / "mnist.npz", x_test=digits, y_test=np.arange(10))
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    with zipfile.ZipFile(tmp_path / "clothing-dataset-small.zip", "w") as archive:
        archive.writestr("test/hat/a.jpg", encoded(photo, "JPEG"))
        archive.writestr("test/hat/b.jpg", encoded(Image.new("RGB", (40, 30), (9, 9, 9)), "JPEG"))
        archive.writestr("train/hat/c.jpg", encoded(photo, "JPEG"))
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    return tmp_path


def test_digits_and_photographs_come_from_the_folder(data: Path) -> None:
    sets = foreign_inputs.pictures(RECIPE, "generated drawings of X and O")
    assert {name: len(rows) for name, rows in sets.items()} == {"noise": 500, "blank": 256, "MNIST": 9, "clothing": 1}
    assert all(rows.shape[1:] == (32, 32, 1) and rows.dtype == np.uint8 for rows in sets.values())


def test_the_training_data_is_not_foreign_to_itself(data: Path) -> None:
    assert "MNIST" not in foreign_inputs.pictures(RECIPE, "MNIST")
    assert "clothing" not in foreign_inputs.pictures(RECIPE, "Clothing photographs")


def test_without_the_folder_all_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINE_DATA", raising=False)
    assert foreign_inputs.pictures(RECIPE, "anything").keys() == {"noise", "blank"}
