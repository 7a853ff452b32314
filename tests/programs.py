"""Run real programs in tests and wait for their output."""

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from serving.artifacts.registry import ModelRegistry

REPOSITORY = Path(__file__).parent.parent
EXPORTS = REPOSITORY / "exports"

# Below the ephemeral ports, so that no outgoing connection takes a port before the program does. Each worker of
# pytest-xdist has ports of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = range(20_000 + _WORKER, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
_next_port = itertools.cycle(random.sample(_PORTS, len(_PORTS)))


def shipped(model: str) -> Path:
    """Return the folder of the live version of a shipped model."""
    return EXPORTS / model / str(ModelRegistry(EXPORTS).live(model))


def free_port() -> int:
    """Return a free port, a different one for each call."""
    for port in itertools.islice(_next_port, len(_PORTS)):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port
    raise AssertionError("no port is free")


_SHOWN = 20_000  # characters of the output of a program that runs for long


class Program:
    """A running program and its output, standard output and error together."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str] | None = None, folder: Path = REPOSITORY) -> None:
        self.process = subprocess.Popen(
            list(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def output(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Wait until the program prints the text. Fails with its output if it ends or takes too long."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(text in line for line in self._lines), timeout)
            found = any(text in line for line in self._lines)
        if not found:
            raise AssertionError(f"the program did not print {text!r}; it printed:\n{self.output}")

    def wait_until(self, what: Callable[[], bool], timeout: float = 60) -> None:
        """Wait for a condition outside the program. Fails if the program ends or takes too long."""
        until = time.monotonic() + timeout
        while not what():
            if self.process.poll() is not None or time.monotonic() > until:
                printed = self.output[-_SHOWN:]
                raise AssertionError(f"the condition did not become true; the end of the program's output:\n{printed}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 30) -> int:
        """Send a signal and return the exit code. Kills the program if it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the program did not end within {timeout} s; it printed:\n{self.output}") from None
        self._reader.join(timeout)
        assert self.process.stdout
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(*arguments: str, ready: str, env: dict[str, str] | None = None, timeout: float = 300) -> Iterator[Program]:
    """Run ``python …``, wait until it prints ``ready``, and stop it afterwards."""
    program = Program([sys.executable, *arguments], env)
    try:
        program.wait_for(ready, timeout)
        yield program
    finally:
        program.stop()


@contextlib.contextmanager
def model_server(exports: Path, *flags: str, port: int | None = None) -> Iterator[str]:
    """Run the embedded model server on a folder of exports. Yields its gRPC address."""
    with model_server_program(exports, *flags, port=port) as (address, _):
        yield address


@contextlib.contextmanager
def model_server_program(exports: Path, *flags: str, port: int | None = None) -> Iterator[tuple[str, Program]]:
    """Like :func:`model_server`, but yields the program too."""
    port = port or free_port()
    with running(
        "-m",
        "serving.model_server",
        f"--port={port}",
        f"--model_config_file={exports / 'models.config'}",
        f"--mount=/models={exports}",
        "--allow_version_labels_for_unavailable_models",  # models.config has labels before any version is loaded
        "--grpc_max_threads=200",
        *flags,
        ready="Running gRPC ModelServer",
    ) as program:
        yield f"127.0.0.1:{port}", program
