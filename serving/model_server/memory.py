"""Memory that is free in this process goes back to the machine: weights that were unloaded, tensors of a warm-up."""

import ctypes
import functools
import gc
import sys
from collections.abc import Callable


def give_back() -> None:
    """Collect what is unreachable and have the allocator return it. Takes milliseconds: not for the event loop."""
    gc.collect()
    trim = _malloc_trim()
    if trim:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc keeps freed memory until told otherwise; other allocators have no such call."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
