"""The storage behind the model registry."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class RegistryBackend(Protocol):
    """Storage of all versions: a folder (``local.py``) or an object store (``object_store.py``).

    File names are relative to the exports. All methods raise OSError if the disk or the object store fails.
    """

    def models(self) -> list[str]:
        """List the folders that hold a version."""
        ...

    def versions(self, model: str) -> list[int]:
        """List the numbers of the complete versions, ascending."""
        ...

    def version_folder(self, model: str, version: int) -> str:
        """Return the name of the version's folder, relative to the exports."""
        ...

    def directory(self, model: str, version: int) -> Path:
        """Return a local directory with the version's files."""
        ...

    def problem(self, model: str, version: int) -> str | None:
        """Say why the version cannot be served: damaged, incomplete or no SavedModel. None if it can."""
        ...

    def staging(self, model: str) -> contextlib.AbstractContextManager[Path]:
        """Provide an empty directory to build a version in, and remove it afterwards."""
        ...

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        """Make a staged directory with its manifest the next version, atomically, and return its number.

        Calls ``seal`` with the number before the version is visible, and again if another publisher took the number.
        """
        ...

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        """Undo :meth:`add` at once."""
        ...

    def read(self, name: str) -> bytes | None:
        """Read a file. None if it does not exist."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically."""
        ...

    def exclusive(self, model: str) -> contextlib.AbstractContextManager[bool]:
        """Hold the model for one caller. Yields whether no other caller holds it."""
        ...

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        """Replace a file's content by ``edit`` of it, atomically and without losing other writers' changes.

        Calls ``edit`` again if another writer was faster.
        """
        ...
