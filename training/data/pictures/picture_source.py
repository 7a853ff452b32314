"""The files of a folder or a ZIP file, by name.

A ZIP file is read member by member. Nothing is extracted, so no member can be written outside of a folder.
"""

import lzma
import os
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from serving.preprocessing.image import PictureError
from training.core.errors import JobError

#: Limit of files in a folder or a ZIP file, in case somebody names a whole disk.
MAX_FILES = 200_000
#: Limit of one file, in bytes; the gateway accepts requests up to this size.
MAX_FILE_BYTES = 32_000_000
EXPECTED = "a folder with one folder of pictures for each class, or a ZIP file of one, is expected"
_MAX_UNPACKED = 1_000_000_000  # bytes: smaller ZIP files may be compressed by any factor
_MAX_FACTOR = 100  # photos hardly shrink in a ZIP file
_LARGER = f"the file is larger than {MAX_FILE_BYTES // 1_000_000} MB"
_UTF_8 = 0x800  # flag of a ZIP member whose name is UTF-8


class PictureSource(Protocol):
    """Files by their path below the folder.

    Attributes:
        name: name of the folder, or of the ZIP file without its suffix.
        kind: ``folder`` or ``ZIP file``.
        files: all files, sorted.
        folders: all folders.
        skipped: files that cannot be read by their path, with the reason.
    """

    name: str
    kind: str
    files: list[str]
    folders: set[str]
    skipped: list[tuple[str, str]]

    def read(self, file: str) -> bytes:
        """Return the content of a file.

        Raises:
            PictureError: the file is too large, or is no regular file.
            OSError: the file cannot be read.
        """
        ...


def open_source(path: Path) -> PictureSource:
    """Open a folder or a ZIP file, and list its files.

    Raises:
        JobError: it does not exist, cannot be read, is neither, or is too large.
    """
    try:
        if path.is_dir():
            return _Folder(path)
        if not path.exists():
            raise JobError(f"there is no {path}; {EXPECTED}")
        if zipfile.is_zipfile(path):
            return _ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise JobError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    raise JobError(f"{path} is neither a folder nor a ZIP file; {EXPECTED}")


class _Folder:
    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.name = path.resolve().name
        self.files: list[str] = []
        self.folders: set[str] = set()
        self.skipped: list[tuple[str, str]] = []
        self._root = path
        next(path.iterdir(), None)  # an unreadable root is an error, an unreadable folder in it is skipped
        seen = set()
        for directory, folders, files in os.walk(path, onerror=self._skip, followlinks=True):
            here = Path(directory).stat()
            if (here.st_dev, here.st_ino) in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add((here.st_dev, here.st_ino))
            below = Path(directory).relative_to(path)
            self.folders.update((below / folder).as_posix() for folder in folders)
            self.files += ((below / file).as_posix() for file in files)
            _check_count(len(self.files), path)
        self.files.sort()

    def _skip(self, error: OSError) -> None:
        self.skipped.append((str(Path(error.filename).relative_to(self._root)), str(error.strerror)))

    def read(self, file: str) -> bytes:
        path = self._root / file
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PictureError("it is not a regular file")
        if found.st_size > MAX_FILE_BYTES:
            raise PictureError(_LARGER)
        return path.read_bytes()


class _ZipFile:
    kind = "ZIP file"

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.files: list[str] = []
        self.folders: set[str] = set()
        self.skipped: list[tuple[str, str]] = []
        self._archive = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        members = self._archive.infolist()
        _check_count(len(members), path)
        unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
        if unpacked > max(_MAX_UNPACKED, _MAX_FACTOR * packed):
            raise JobError(
                f"{path} has {packed / 1e6:.1f} MB and unpacks to {unpacked / 1e9:.1f} GB, more than {_MAX_FACTOR} "
                "times as much, as only ZIP bombs do. Unpack it yourself and name the folder"
            )
        for member in members:
            self._add(member)
        self.files.sort()

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = _member_name(member)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            self.skipped.append((name, "the path leaves the ZIP file"))
            return
        self.folders.update(str(parent) for parent in path.parents if parent.parts)
        if name.endswith("/"):
            self.folders.add(str(path))
        elif str(path) not in self._members:
            self._members[str(path)] = member
            self.files.append(str(path))

    def read(self, file: str) -> bytes:
        try:
            with self._archive.open(self._members[file]) as content:
                data = content.read(MAX_FILE_BYTES + 1)
        except RuntimeError:
            raise PictureError("the file is encrypted") from None
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise PictureError(f"the file in the ZIP file is damaged: {error}") from None
        if len(data) > MAX_FILE_BYTES:
            raise PictureError(_LARGER)
        return data


def _member_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; macOS writes UTF-8 without saying so, and some Windows programs write backslashes."""
    name = member.filename
    if not member.flag_bits & _UTF_8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _check_count(count: int, path: Path) -> None:
    if count > MAX_FILES:
        raise JobError(f"{path} holds more than {MAX_FILES:,} files; {EXPECTED}")
