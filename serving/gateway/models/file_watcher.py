"""A file that is read again when it changes; an edit that is not valid is refused and what was read before stays."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger("vitrine.files")


class WatchedFile(Generic[T]):
    """``value`` is replaced as a whole, so that who holds one can tell by ``is`` whether it is still the newest.

    ``problem`` says why the file as it stands now was refused; None where it was not.
    """

    def __init__(self, path: Path, parse: Callable[[bytes, str], T], empty: T, *, optional: bool = False) -> None:
        """``parse`` makes the value of the file's bytes and its name and raises ValueError. ``empty`` is the value
        before there was a file, and, where it is ``optional``, without one."""
        self.path = path
        self.value = empty
        self.problem: str | None = None
        self._parse = parse
        self._empty = empty
        self._optional = optional
        self._seen: object = ()  # no file looks like this, not even a missing one

    def is_refused(self) -> bool:
        return self.problem is not None

    def read(self) -> T:
        """The value as of now: one look at the file's times where nothing changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return self.value
        first = self._seen == ()
        self._seen = stamp
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
            log.error("%s; what was read before stays", error)
        return self.value

    def _stamp(self) -> object:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_ctime_ns, stat.st_size, stat.st_ino  # not st_mtime_ns, which whoever copies a file may set
