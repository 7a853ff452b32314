"""A limit of the memory that JSON documents take while they are answered.

It is estimated from their bytes before they are read.
"""

import contextlib
from collections.abc import Iterator

import numpy as np

from serving.model_server.errors import unavailable

_SMALL = 65_536  # bytes of a body that is not worth an estimate
_PIECE = 1_048_576  # bytes that are counted at once, because counting holds the global lock
#: Bytes of memory for each mark: Python's objects, and their conversion to arrays. N and I begin NaN and Infinity,
#: which only a reader written in Python takes.
_BYTES_PER = {b",": 48, b"[": 48, b"{": 250, b'"': 32, b"N": 100, b"I": 200}


class DocumentTooLarge(Exception):
    """A document would take more memory than all of them may."""


class Documents:
    """What all documents together take."""

    def __init__(self, most: int) -> None:
        """``most`` is in bytes."""
        self._most = most
        self._held = 0

    @contextlib.contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Reserve so many bytes.

        Raises:
            DocumentTooLarge: more than there are. ServingError: other documents hold too many.
        """
        if size > self._most:
            raise DocumentTooLarge(
                f"the body needs {size} bytes of memory when it is read; at most {self._most} are available. Send "
                "fewer rows, or use gRPC"
            )
        if self._held + size > self._most:
            raise unavailable("the server reads too many large requests now; try again later")
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def cost(body: bytes) -> int:
    """The bytes of memory that reading a document takes; 0 for a small one."""
    if len(body) < _SMALL:
        return 0
    letters = np.frombuffer(body, np.uint8)
    marks = np.zeros(256, np.int64)
    for start in range(0, len(body), _PIECE):
        marks += np.bincount(letters[start : start + _PIECE], minlength=256)
    return len(body) + sum(bytes_per * int(marks[ord(mark)]) for mark, bytes_per in _BYTES_PER.items())
