"""CIFAR-10: the JPEG copy and the stand-in data."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.core.errors import JobError
from training.data import cifar10, cifar100


def jpeg(grey: int, side: int = 32) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (grey, grey, grey)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Two training pictures and one test picture per class, of grey 10·class + number."""
    path = tmp_path / "copy.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", 2), ("test", 1)):
            for label, name in enumerate(cifar10.LABELS):
                for number in range(count):
                    archive.writestr(f"{part}/{name}/{number:04}.jpg", jpeg(10 * label + number))
    return path


def test_classes_alternate(copy: Path) -> None:
    """The first pictures are of every class."""
    (x, y), (x_test, y_test) = cifar100.from_zip(copy, cifar10.LABELS)
    assert x.shape == (20, 32, 32, 3) and x.dtype == np.uint8 and x_test.shape == (10, 32, 32, 3)
    assert y.tolist() == [*range(10), *range(10)] and y_test.tolist() == [*range(10)]
    assert x[:, 16, 16, 0].tolist() == [10 * (i % 10) + i // 10 for i in range(20)]


def test_unusable_files_are_named(copy: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("train/frog/0009.jpg", b"croak")
    with pytest.raises(JobError, match=r"copy\.zip .*train/frog/0009\.jpg: the bytes are not a picture"):
        cifar100.from_zip(copy, cifar10.LABELS)
    small = tmp_path / "small.zip"
    with zipfile.ZipFile(small, "w") as archive:
        archive.writestr("train/frog/0000.jpg", jpeg(1))
    with pytest.raises(JobError, match="train holds no pictures of airplane, automobile"):
        cifar100.from_zip(small, cifar10.LABELS)
    small.write_bytes(b"PK")
    with pytest.raises(JobError, match=r"small\.zip in VITRINE_DATA cannot be read"):
        cifar100.from_zip(small, cifar10.LABELS)


def test_stand_in_data_is_marked() -> None:
    examples = cifar10.load(stand_in=True, at_most=30)
    assert examples.train[0].shape == (30, 32, 32, 3) and set(examples.test[1]) == set(range(10))
    assert examples.data.stand_in and examples.data.source == "generated"
