"""exports/ in a local folder: a version is written aside, synced and renamed, files are replaced in one step."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from serving import manifest
from serving.manifest import SIGNATURE_FILE


def versions_in(directory: Path) -> list[int]:
    """Numbers of the version directories, ascending; other names are no versions, as TensorFlow Serving has it."""
    try:
        names = [entry.name for entry in os.scandir(directory) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted({int(name) for name in names if name.isascii() and name.isdigit() and int(name) < 2**63})


class Folder:
    """See :class:`serving.store.Place`. Safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def models(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return [entry.name for entry in self._root.iterdir() if versions_in(entry)]

    def versions(self, model: str) -> list[int]:
        return versions_in(self._root / model)

    def directory(self, model: str, version: int) -> Path:
        return self._root / model / str(version)

    def problem(self, model: str, version: int) -> str | None:
        return manifest.check(self.directory(model, version))

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        parent = self._root / model
        parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
        directory.chmod(0o755)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                parent.rmdir()  # only if the model has no version at all

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        sync_tree(staged)
        parent = self._root / model
        number = (self.versions(model) or [0])[-1] + 1
        while True:
            seal(number)
            if (signature := staged / SIGNATURE_FILE).is_file():
                sync(signature)
                sync(signature.parent)
            try:
                staged.rename(parent / str(number))
                break
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                number += 1  # another publisher was faster
        sync(parent)
        return number

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        self.directory(model, version).rename(staged)

    def write(self, name: str, content: bytes) -> None:
        replace(self._root / name, content)

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.write(name, edit(self.read(name)))


def replace(path: Path, content: bytes) -> None:
    """Put a file in place of the one of its name: a reader sees the one or the other."""
    draft = path.with_name(f"{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """What was written to the file or directory is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """:func:`sync` of a directory and everything below it."""
    for path in directory.rglob("*"):
        sync(path)
    sync(directory)
