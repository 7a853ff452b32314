"""An ASGI application under uvicorn, in a thread of the test."""

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn


@contextlib.contextmanager
def serving(application: Callable[..., Awaitable[None]]) -> Iterator[tuple[Any, ...]]:
    """Serve an application, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(application, http="httptools", lifespan="off", log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
