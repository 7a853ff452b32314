"""An S3 server (moto) in its own process, and a TCP relay that can stall."""

import contextlib
import os
import selectors
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec

from tests.programs import Program, free_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


@contextlib.contextmanager
def server() -> Iterator[int]:
    """Run the server and yield its port. Points this process's environment to it."""
    port = free_port()
    program = Program([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
    before = {name: os.environ.get(name) for name in environment(port)}
    try:
        program.wait_for("Running on", 120)
        os.environ.update(environment(port))
        yield port
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        program.process.kill()
        program.stop()


def environment(port: int) -> dict[str, str]:
    """Return the environment variables that point a program to the server."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


def exports() -> str:
    """Create a bucket and return an address for exports in it."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/some/exports"


class Wire:
    """A TCP relay to a port, at its ``own`` port or any. After ``up`` or ``down`` bytes it stalls and sets ``held``."""

    def __init__(self, port: int, *, up: float = float("inf"), down: float = float("inf"), own: int = 0) -> None:
        self.up_left, self.down_left = up, down
        self.down = 0
        self.held = threading.Event()
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", own))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as target, contextlib.suppress(OSError):
            picker = selectors.DefaultSelector()
            picker.register(client, selectors.EVENT_READ, target)
            picker.register(target, selectors.EVENT_READ, client)
            while True:
                for key, _ in picker.select():
                    content = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not content:
                        return
                    key.data.sendall(content)
                    if key.data is target:
                        self.up_left -= len(content)
                    else:
                        self.down_left -= len(content)
                        self.down += len(content)
                    if self.up_left < 0 or self.down_left < 0:
                        self.held.set()
                        threading.Event().wait(60)  # the program at the other end is killed meanwhile
                        return


@contextlib.contextmanager
def wire(port: int, *, up: float = float("inf"), down: float = float("inf")) -> Iterator[Wire]:
    one = Wire(port, up=up, down=down)
    try:
        yield one
    finally:
        one.close()


def stage(directory: Path, size: int = 1000, fill: str = "x") -> None:
    """Write a version's files, which no model server can load. The largest has ``size`` bytes."""
    (directory / "variables").mkdir()
    (directory / "saved_model.pb").write_text(fill)
    (directory / "variables" / "variables.data").write_bytes(fill.encode() * size)
