"""``MANIFEST.sha256``: what a version was when it was published, so that damage is seen before it is served."""

import hashlib
from pathlib import Path

MANIFEST_FILE = "assets.extra/MANIFEST.sha256"
CARD_FILE = "assets.extra/card.json"  # here, not in card.py, for those who only hand it on and need no pydantic


def write(directory: Path) -> None:
    """``assets.extra/MANIFEST.sha256``, in sha256sum's format, of every other file of the version."""
    path = directory / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{_sha256(directory / name)}  {name}\n" for name in _files(directory)), encoding="utf-8")


def check(directory: Path) -> str | None:
    """What does not match the manifest, or None where all does or where there is none (a foreign SavedModel)."""
    try:
        lines = (directory / MANIFEST_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        expected, _, name = line.partition("  ")
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        if _sha256(path) != expected:
            return f"{name} is not the file that was published"
    return None


def _files(directory: Path) -> list[str]:
    found = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return sorted(name for name in found if name != MANIFEST_FILE)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
