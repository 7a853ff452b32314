"""Write and check ``MANIFEST.sha256``, which detects damage to a published version."""

import hashlib
import os
from pathlib import Path, PurePosixPath

from serving.artifacts import version_files

MANIFEST_FILE = "assets.extra/MANIFEST.sha256"
SIGNATURE_FILE = f"{MANIFEST_FILE}.sig"  # see signing.py
CARD_FILE = "assets.extra/card.json"  # here, because model_card.py needs pydantic


class ManifestError(ValueError):
    """The content is not a valid manifest, or a version cannot have one. The message says why."""


def write(directory: Path) -> None:
    """Write the manifest of all other files of a version, in sha256sum's format.

    Raises:
        ManifestError: The version holds a special file, or a symbolic link that leads out of it or into a loop.
    """
    problem = version_files.problem(directory, closed=True)
    if problem is not None:
        raise ManifestError(problem)
    path = directory / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    listed = (name for name in files(directory) if name != MANIFEST_FILE)
    path.write_text("".join(f"{sha256(directory / name)}  {name}\n" for name in listed), encoding="utf-8")


def parse(content: bytes) -> dict[str, str]:
    """Parse a manifest. Returns the SHA-256 by file name, relative to the version.

    Raises:
        ManifestError: A line does not have sha256sum's format, or a name leads out of the version.
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
    """Say what does not match the manifest. None if all files match or the version has no manifest.

    Special files and loops of symbolic links are always problems, and nothing is opened before they are excluded. A
    symbolic link that leads out is a problem with a manifest, because its target may change later.
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
    """List all files of a version, relative to it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def sha256(path: Path) -> str:
    """Hash a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
