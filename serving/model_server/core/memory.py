"""Return free memory to the operating system: unloaded weights, tensors of a warm-up."""

import ctypes
import functools
import gc
import sys
from collections.abc import Callable

_ARENA_MAX = -8  # mallopt's M_ARENA_MAX


def share_one_arena() -> None:
    """Let all threads allocate from one arena; call it before the first thread starts.

    glibc gives each thread an arena of its own and keeps its freed memory. Measured after a load of 128 rows from 16
    callers: 93 MB instead of 133 MB.
    """
    mallopt = _glibc("mallopt")
    if mallopt:
        mallopt(_ARENA_MAX, 1)


def release() -> None:
    """Collect garbage and trim the heap. This takes milliseconds: do not call it in the event loop."""
    gc.collect()
    trim = _glibc("malloc_trim")
    if trim:
        trim(0)


@functools.cache
def _glibc(name: str) -> Callable[..., int] | None:
    """Return a function of glibc, or None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
