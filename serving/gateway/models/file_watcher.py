"""File watcher: reads a file again when it changes. After an invalid edit the last valid content stays in use."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger("vitrine.files")


class WatchedFile(Generic[T]):
    """The parsed content of a file.

    Attributes:
        value: the last valid content. It is replaced, never changed: compare with ``is`` to see whether it is current.
        problem: why the current file was rejected; None if it is valid.
    """

    def __init__(self, path: Path, parse: Callable[[bytes, str], T], empty: T, *, optional: bool = False) -> None:
        """Create a watcher; :meth:`read` reads the file.

        Args:
            path: the file.
            parse: makes the value from the file's bytes and name; raises ValueError.
            empty: the value before the first read.
            optional: whether ``empty`` is also the value if there is no file.
        """
        self.path = path
        self.value = empty
        self.problem: str | None = None
        self._parse = parse
        self._empty = empty
        self._optional = optional
        self._last_stamp: object = ()  # differs from that of any file, and of a missing one

    def is_rejected(self) -> bool:
        """Whether the current file is invalid."""
        return self.problem is not None

    def read(self) -> T:
        """Return the current value. Without a change this is one ``stat`` call."""
        stamp = self._stamp()
        if stamp == self._last_stamp:
            return self.value
        first = self._last_stamp == ()
        self._last_stamp = stamp
        try:
            if stamp is not None:
                self.value = self._parse(self.path.read_bytes(), str(self.path))
            elif self._optional:
                self.value = self._empty
            else:
                raise ValueError(f"there is no file {self.path}")
            self.problem = None
            if stamp is not None or not first:
                log.info("read %s", self.path)
        except (ValueError, OSError) as error:
            self.problem = str(error)
            log.error("%s; the last valid content stays in use", error)
        return self.value

    def _stamp(self) -> object:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_ctime_ns, stat.st_size, stat.st_ino  # st_mtime_ns may be copied from another file
