"""Photographs of clothes are counted by the classes of Fashion-MNIST."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import clothing

PICTURE = Path(__file__).parents[2] / "examples" / "ankle_boot.png"
VERSION = max((Path(__file__).parents[2] / "exports" / "fashion_cnn").iterdir())


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Boots as shoes, as hats and as dresses, in a ZIP file that has a damaged picture too."""
    path = tmp_path / "photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("train", "validation", "test"):
            for kind in (*clothing.CLASSES, "hat"):
                archive.writestr(f"{part}/{kind}/1.png", PICTURE.read_bytes())
        archive.writestr("test/shoes/2.png", b"\x89PNG damaged")
        upright = io.BytesIO()
        Image.fromarray(np.asarray(Image.open(PICTURE))).save(upright, "PNG")
        archive.writestr("test/shoes/3.png", upright.getvalue())
    return path


def test_counts_the_mapped_kinds(photographs: Path) -> None:
    found = clothing.measure(VERSION, "test", photographs)
    assert found.pop("shoes") == (2, 3)
    assert found == dict.fromkeys(found, (0, 1))
    assert clothing.measure(VERSION, "test", photographs, cut_out=True)["shoes"] == (2, 3)
