"""Shared by the programs. Their environments have neither pytest nor this project."""

import asyncio
import base64
import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path

GATEWAY = os.environ["GATEWAY"]
GATEWAY_GRPC = os.environ["GATEWAY_GRPC"]
MODEL_SERVER_GRPC = os.environ["MODEL_SERVER_GRPC"]
MODEL_SERVER_REST = os.environ["MODEL_SERVER_REST"]
PICTURE = Path(os.environ["PICTURE"]).read_bytes()
PICTURE_URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()

ANKLE_BOOT = 9  # the picture's class

HISTORY = [0.31, 0.58]
NEXT = 0.7932  # the forecast of sine_rnn


def run(*checks: Callable[[], object], more: tuple[Callable[[], object], ...] = ()) -> None:
    """Run the checks in order, those in ``more`` only with ALL_CHECKS."""
    for check in (*checks, *(more if os.environ["ALL_CHECKS"] else ())):
        if inspect.iscoroutinefunction(check):
            asyncio.run(check())
        else:
            check()
        print("ok", check.__name__)


def is_next(value: float) -> bool:
    return abs(value - NEXT) < 1e-3


@contextlib.contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """Check that the block raises the error, and that its text contains the words."""
    try:
        yield
    except error as raised:
        for word in words:
            assert word in str(raised), f"{word!r} is not in {raised}"
    else:
        raise AssertionError(f"{error.__name__} was not raised")
