"""Find a model's version directories, and check whether their files are safe to open.

Opening a named pipe or a file on a dead mount can block for ever, and a device can be endless. So the whole tree of a
version is checked before anything in it is opened.
"""

import errno
import os
import stat
from pathlib import Path

_MAX_ENTRIES = 100_000  # a link may lead to the root of the disk
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class IrregularFileError(OSError):
    """The path is not a regular file. The message says what it is."""


def directories(folder: Path) -> dict[int, Path]:
    """Find the version directories in a model's folder. Returns them by number, ascending.

    As in TensorFlow Serving leading zeros are allowed (``001``), and of two names with the same number the last wins.
    The folder is opened once: renamed meanwhile, it still has its versions, and a watcher unloads nothing.

    Raises:
        OSError: The model's folder cannot be read.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(opened) as entries:
            names = sorted(entry.name for entry in entries if _is_number(entry.name))
        found = {int(name): folder / name for name in names if _is_directory(name, opened)}
    finally:
        os.close(opened)
    return dict(sorted(found.items()))


def read(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        FileNotFoundError: The file does not exist.
        IrregularFileError: The path is something else, which is not opened.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise IrregularFileError(f"{path} is {_kind(mode)}; a regular file is expected")
    return path.read_bytes()


def problem(directory: Path, *, closed: bool) -> str | None:
    """Name the first entry of a version that must not be opened, or return None.

    Follows symbolic links. ``closed`` forbids those that lead out of the version.
    """
    try:
        return _problem(directory, directory.resolve() if closed else None)
    except FileNotFoundError:
        return None  # removed meanwhile; the reader reports missing files
    except OSError as error:
        return f"{_relative(Path(str(error.filename)), directory)} cannot be read: {error.strerror}"


def _problem(directory: Path, root: Path | None) -> str | None:
    waiting = [(directory, frozenset({_identity(directory)}))]  # with the identities of the folders above
    entries = 0
    while waiting:
        parent, above = waiting.pop()
        for path in sorted(parent.iterdir()):
            entries += 1
            if entries > _MAX_ENTRIES:
                return f"it has more than {_MAX_ENTRIES} files and folders"
            name = _relative(path, directory)
            mode = _mode(path)
            if mode is None:
                return f"{name} is a symbolic link that leads back to itself"
            if root and path.is_symlink() and not path.resolve().is_relative_to(root):
                return f"{name} is a symbolic link that leads out of the version"
            if stat.S_ISDIR(mode):
                identity = _identity(path)
                if identity in above:
                    return f"{name} is a symbolic link to a folder that contains it"
                waiting.append((path, above | {identity}))
            elif not stat.S_ISREG(mode):
                return f"{name} is {_kind(mode)}; regular files are expected"
    return None


def _mode(path: Path) -> int | None:
    """Return the type of an entry. None for a symbolic link to itself."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        if error.errno == errno.ENOENT:
            return stat.S_IFREG  # a dangling link; the reader reports the missing file
        raise


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 2**63


def _is_directory(name: str, folder: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder).st_mode)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")


def _relative(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix() if path.is_relative_to(directory) else str(path)
