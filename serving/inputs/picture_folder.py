"""Find the pictures of a folder, without hidden files, thumbnails and trash.

File managers, notebooks, archives and network drives create such files. Scoring and training share this rule.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".webp", ".bmp", ".dib", ".gif"})
#: Unsupported formats. They are found too, so that each has a row that names its format.
FOREIGN = frozenset({".heic", ".heif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".psd", ".svg"})

_LEFT_OUT = frozenset({
    "thumbs.db", "ehthumbs.db", "desktop.ini",  # Windows
    "__macosx", "network trash folder", "temporary items",  # macOS
    "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found",  # drives
    "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot",  # Synology, QNAP
})  # fmt: skip


@dataclass(frozen=True)
class PictureFolder:
    """Paths relative to the folder, sorted. ``left_out`` counts hidden pictures, thumbnails and trash."""

    names: tuple[str, ...]
    left_out: int


def find(folder: Path) -> PictureFolder:
    """Find the pictures in a folder and all folders below it, by suffix. Does not follow links to folders.

    Raises:
        OSError: A folder cannot be read.
    """
    names: list[str] = []
    left_out = 0
    for directory, _, files in os.walk(folder, onerror=_raise):
        below = Path(directory).relative_to(folder)
        hidden = any(map(is_left_out, below.parts))
        for file in files:
            if Path(file).suffix.lower() not in SUFFIXES | FOREIGN:
                continue
            if hidden or is_left_out(file):
                left_out += 1
            else:
                names.append((below / file).as_posix())
    return PictureFolder(tuple(sorted(names)), left_out)


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, a thumbnail, trash or similar."""
    return name.startswith(".") or name.lower() in _LEFT_OUT


def _raise(error: OSError) -> None:
    raise error
