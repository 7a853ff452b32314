"""Atomic file writes: a reader sees the old content or the new, also after a crash."""

import glob
import os
import stat
import uuid
from pathlib import Path


def write_atomically(path: Path, content: bytes | str, permissions: int | None = None) -> None:
    """Replace a file in one step, or create it.

    The content goes to a temporary file in the same folder, which is synced and renamed; then the folder is synced.
    If the process is killed before the rename, the temporary file remains (:func:`remove_leftovers`).

    Args:
        path: The file. Its folder must exist.
        content: Bytes, or text that is written as UTF-8.
        permissions: Mode bits of the file. By default an existing file keeps its own and a new file follows the umask.

    Raises:
        OSError: The disk is full or fails. The file is unchanged, and the temporary file is removed.
    """
    if permissions is None and path.exists():
        permissions = stat.S_IMODE(path.stat().st_mode)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if permissions is None else permissions)
        with os.fdopen(descriptor, "wb") as file:
            if permissions is not None and stat.S_IMODE(os.fstat(descriptor).st_mode) != permissions:
                os.fchmod(descriptor, permissions)  # the umask has removed bits
            file.write(content.encode() if isinstance(content, str) else content)
        rename_synced(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def leftovers(path: Path) -> list[Path]:
    """List the temporary files of unfinished writes of a file."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 32}.new"))


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of killed writers of a file. The caller excludes concurrent writers."""
    for draft in leftovers(path):
        draft.unlink(missing_ok=True)


def rename_synced(draft: Path, path: Path) -> None:
    """Sync a finished file, rename it over ``path`` in the same file system, and sync the folder.

    Raises:
        OSError: The disk is full or fails.
    """
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Flush a directory and everything below it to the disk."""
    for path in directory.rglob("*"):
        sync(path)
    sync(directory)
