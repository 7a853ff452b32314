"""End a writer in the middle: from one of its file operations on, none happens any more, not even those that clean up.

That leaves the files as a kill does, and locks are released, but it takes microseconds instead of a process.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

_WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """The writer is dead."""


class _Watch:
    """The file operations of this process. Python cannot remove an audit hook, so one stays and mostly does nothing."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.on_rename: Callable[[str, str], None] | None = None
        self._is_installed = False

    def install(self) -> None:
        if not self._is_installed:
            self._is_installed = True
            sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is None and self.on_rename is None:
            return
        if event not in _WRITES and not (event == "open" and arguments[2] & _WRITE_FLAGS):
            return
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        if event == "os.rename" and self.on_rename is not None:
            self.on_rename(str(arguments[0]), str(arguments[1]))


_watch = _Watch()


@contextlib.contextmanager
def watched(on_rename: Callable[[str, str], None]) -> Iterator[None]:
    """Call a function with the paths before each rename of a file."""
    _watch.install()
    _watch.on_rename = on_rename
    try:
        yield
    finally:
        _watch.on_rename = None


@contextlib.contextmanager
def killed_after(operations: int) -> Iterator[None]:
    """Let this many file operations happen. Ends without an error if there are more."""
    _watch.install()
    _watch.left = operations
    try:
        with contextlib.suppress(Killed):
            yield
    finally:
        _watch.left = None
