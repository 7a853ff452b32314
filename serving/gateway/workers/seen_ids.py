"""Ids of feedback that has been counted, in a process without workers or in their supervisor."""

import hashlib
from collections.abc import Sequence


class SeenIds:
    """The newest ids, so that repeated feedback counts once."""

    def __init__(self, most: int = 50_000) -> None:
        """``most`` is the number of ids that are remembered."""
        self._most = most
        self._ids: dict[bytes, None] = {}

    def add(self, ids: Sequence[str]) -> list[bool]:
        """Remember ids, and return for each whether it is new."""
        return [self._is_new(hashlib.blake2b(one.encode(), digest_size=12).digest()) for one in ids]

    def _is_new(self, hashed: bytes) -> bool:
        if hashed in self._ids:
            return False
        self._ids[hashed] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
        return True
