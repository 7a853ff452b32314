"""exports/ in a local folder: a version is written aside, synced and renamed, files are replaced in one step."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.artifacts import manifest, saved_model, version_files
from serving.artifacts.atomic_write import sync, sync_tree, write_atomically
from serving.artifacts.manifest import SIGNATURE_FILE

_STAGING = ".staging-"


def versions_in(directory: Path) -> list[int]:
    """Numbers of a model's versions, ascending; none where there is no such folder."""
    return list(_directories(directory))


def _directories(home: Path) -> dict[int, Path]:
    try:
        return version_files.directories(home)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return {}
        raise


class LocalBackend:
    """See :class:`serving.artifacts.registry.RegistryBackend`. Safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def models(self) -> list[str]:
        if not self._root.is_dir():
            return []
        found = []
        for entry in self._root.iterdir():
            with contextlib.suppress(OSError):  # lost+found, or another user's folder
                if versions_in(entry):
                    found.append(entry.name)
        return found

    def versions(self, model: str) -> list[int]:
        return versions_in(self._root / model)

    def home(self, model: str, version: int) -> str:
        return f"{model}/{self.directory(model, version).name}"

    def directory(self, model: str, version: int) -> Path:
        return _directories(self._root / model).get(version, self._root / model / str(version))

    def problem(self, model: str, version: int) -> str | None:
        directory = self.directory(model, version)
        return manifest.check(directory) or saved_model.problem(directory)

    def read(self, name: str) -> bytes | None:
        try:
            return version_files.read(self._root / name)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        parent = self._root / model
        self._root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            with _locked(self._root, fcntl.LOCK_EX):  # nobody sweeps between the directory's creation and its lock
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
        write_atomically(self._root / name, content)

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.write(name, edit(self.read(name)))


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Hold a lock on a directory itself, if its file system has such locks."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # NFS has no exclusive ones; nothing is swept there
            fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove what dead publishers of a model left behind.

    To be called under the lock of the exports' folder.

    A publisher holds a lock on its staging directory, which the system releases when the process ends, however it
    ends. Process ids mean nothing on another machine or in another container that shares the folder, and a long export
    may be older than any age limit. Where locks do not work nothing is removed.
    """
    for directory in parent.glob(f"{_STAGING}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
            finally:
                os.close(descriptor)
