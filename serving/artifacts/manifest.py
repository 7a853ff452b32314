"""``MANIFEST.sha256``: what a version was when it was published, so that damage is seen before it is served."""

import hashlib
import os
from pathlib import Path, PurePosixPath

from serving.artifacts import version_files

MANIFEST_FILE = "assets.extra/MANIFEST.sha256"
SIGNATURE_FILE = f"{MANIFEST_FILE}.sig"  # of the manifest: see signing.py
CARD_FILE = "assets.extra/card.json"  # here, not in card.py, for those who only hand it on and need no pydantic


class ManifestError(ValueError):
    """The text is no manifest; the message says why."""


def write(directory: Path) -> None:
    """``assets.extra/MANIFEST.sha256``, in sha256sum's format, of every other file of the version.

    Raises:
        ManifestError: it holds a special file, or a symbolic link that leads out of it or into a loop.
    """
    problem = version_files.problem(directory, closed=True)
    if problem is not None:
        raise ManifestError(problem)
    path = directory / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    listed = (name for name in files(directory) if name != MANIFEST_FILE)
    path.write_text("".join(f"{sha256(directory / name)}  {name}\n" for name in listed), encoding="utf-8")


def parse(content: bytes) -> dict[str, str]:
    """SHA-256 by file name, relative to the version.

    Raises:
        ManifestError: a line that is none of sha256sum's, or a name that leads out of the version.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        path = PurePosixPath(name)
        if len(digest) != 64 or not name or path.is_absolute() or ".." in path.parts:
            raise ManifestError(f"line {number} of its manifest is not 'SHA-256, two spaces, name of a file in it'")
        entries[name] = digest
    return entries


def check(directory: Path) -> str | None:
    """What does not match the manifest. None if all does or there is no manifest.

    Special files and loops of symbolic links are problems without a manifest, too. Nothing is opened before they are
    ruled out. A symbolic link that leads out is one only beside a manifest, which cannot say what it leads to tomorrow.
    """
    problem = version_files.problem(directory, closed=os.path.lexists(directory / MANIFEST_FILE))
    if problem:
        return problem
    try:
        entries = parse((directory / MANIFEST_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{MANIFEST_FILE} cannot be read: {error.strerror}"
    except ManifestError as error:
        return str(error)
    for name, expected in entries.items():
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        try:
            if sha256(path) != expected:
                return f"{name} is not the file that was published"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
    return None


def files(directory: Path) -> list[str]:
    """Names of all files of a version, relative to it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
