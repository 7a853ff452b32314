"""Model registry in a local folder. Versions are built in a staging directory, synced and renamed."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.artifacts import manifest, saved_model, version_files
from serving.artifacts.atomic_write import remove_leftovers, sync, sync_tree, write_atomically
from serving.artifacts.manifest import SIGNATURE_FILE

_STAGING = ".staging-"


def versions_in(directory: Path) -> list[int]:
    """List the numbers of the versions in a model's folder, ascending. Empty if the folder does not exist."""
    return list(_directories_in(directory))


def _directories_in(folder: Path) -> dict[int, Path]:
    try:
        return version_files.directories(folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return {}
        raise


class LocalBackend:
    """A :class:`serving.artifacts.backends.base.RegistryBackend` in a folder. Safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def models(self) -> list[str]:
        """List the folders that hold a version."""
        if not self._root.is_dir():
            return []
        found = []
        for entry in self._root.iterdir():
            with contextlib.suppress(OSError):  # lost+found, or a folder of another user
                if versions_in(entry):
                    found.append(entry.name)
        return found

    def versions(self, model: str) -> list[int]:
        """List the numbers of a model's versions, ascending."""
        return versions_in(self._root / model)

    def version_folder(self, model: str, version: int) -> str:
        """Return the name of a version's folder, relative to the exports."""
        return f"{model}/{self.directory(model, version).name}"

    def directory(self, model: str, version: int) -> Path:
        """Return a version's directory."""
        return _directories_in(self._root / model).get(version, self._root / model / str(version))

    def problem(self, model: str, version: int) -> str | None:
        """Say why a version cannot be served, or return None."""
        directory = self.directory(model, version)
        return manifest.check(directory) or saved_model.problem(directory)

    def read(self, name: str) -> bytes | None:
        """Read a file. None if it does not exist."""
        try:
            return version_files.read(self._root / name)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """Provide a locked directory to build a version in, and remove it afterwards."""
        parent = self._root / model
        self._root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            with _locked(self._root, fcntl.LOCK_EX):  # no other publisher sweeps before the lock
                parent.mkdir(exist_ok=True)
                _sweep(parent)
                directory = Path(tempfile.mkdtemp(prefix=_STAGING, dir=parent))
                held.enter_context(_locked(directory, fcntl.LOCK_SH))
            directory.chmod(0o755)
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)
                with contextlib.suppress(OSError):
                    parent.rmdir()  # succeeds if the model has no version

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        """Sync the staged directory and rename it to the next free number."""
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
                number += 1  # another publisher has this number
        sync(parent)
        return number

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        """Undo :meth:`add` by renaming the version back."""
        self.directory(model, version).rename(staged)

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically."""
        with self._exclusive():
            self._write(name, content)

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        """Replace a file's content under a lock."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._exclusive():
            self._write(name, edit(self.read(name)))

    @contextlib.contextmanager
    def exclusive(self, model: str) -> Iterator[bool]:
        """Lock the model's folder, if its file system supports that."""
        with contextlib.ExitStack() as held:
            alone = True
            try:
                descriptor = os.open(self._root / model, os.O_RDONLY)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alone = False
            except OSError:
                pass  # no such model, or NFS, which has no exclusive locks on directories
            yield alone

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Exclude other writers of files."""
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, name: str, content: bytes) -> None:
        remove_leftovers(self._root / name)
        write_atomically(self._root / name, content)


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Hold a lock on a directory, if its file system supports that."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # NFS has no exclusive locks on directories
            fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove staging directories of dead publishers. The caller holds the lock of the exports' folder.

    A publisher holds a lock on its staging directory, which the system releases when the process ends. Process ids
    mean nothing on other machines that share the folder, and a long export may exceed any age limit. Without working
    locks nothing is removed.
    """
    for directory in parent.glob(f"{_STAGING}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
            finally:
                os.close(descriptor)
