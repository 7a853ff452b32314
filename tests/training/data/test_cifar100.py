"""CIFAR-100: the WebP copy."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from training.data import cifar100


def webp(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (grey, grey, grey)).save(file, "WEBP", lossless=True)
    return file.getvalue()


def test_the_copy_is_shuffled_with_its_classes(tmp_path: Path) -> None:
    copy = tmp_path / "copy.zip"
    with zipfile.ZipFile(copy, "w") as archive:
        for part, count in (("train", 3), ("test", 1)):
            for label, name in enumerate(cifar100.LABELS):
                for number in range(count):
                    archive.writestr(f"{part}/{name}/{name}_s_{number:06}.webp", webp(2 * label))
    (x, y), (x_test, y_test) = cifar100.from_webps(copy)
    assert x.shape == (300, 32, 32, 3) and x.dtype == np.uint8 and y.dtype == np.int64
    assert (x[:, 16, 16, 0] == 2 * y).all() and (x_test[:, 16, 16, 0] == 2 * y_test).all()
    assert len(set(y[:50])) > 30 and y_test.tolist() == list(range(100))
