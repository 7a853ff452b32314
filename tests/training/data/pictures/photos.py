"""Generated photos in class folders, for tests."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"disc": (200, 60, 50), "square": (50, 90, 200), "triangle": (60, 170, 70)}


def photo(shape: str, seed: int, form: str = "JPEG", **options: object) -> bytes:
    """Draw a coloured shape on a noisy ground, 60 to 140 pixels a side, and encode it."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(60, 141, 2))
    ground = rng.normal(rng.integers(90, 180), 12, (height, width, 3)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(ground)
    left, top, side = rng.integers(5, width // 3), rng.integers(5, height // 3), min(width, height) // 2
    box = (int(left), int(top), int(left + side), int(top + side))
    draw = ImageDraw.Draw(picture)
    if shape == "disc":
        draw.ellipse(box, fill=COLOURS[shape])
    elif shape == "square":
        draw.rectangle(box, fill=COLOURS[shape])
    else:
        draw.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=COLOURS[shape])
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by relative path."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def classes(count: int, *names: str, folder: str = "", first: int = 0) -> dict[str, bytes]:
    """``count`` photos of each class, by path."""
    return {
        f"{folder}{name}/{index}.jpg": photo(name, 1000 * number + first + index)
        for number, name in enumerate(names)
        for index in range(count)
    }
