"""Child processes of `vitrine up`: ports, output and shutdown."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

#: Variables that would contradict the flags of the gateway.
_OVERRIDDEN = ("VITRINE_EXPORTS", "VITRINE_MODEL_SERVER")


class UpError(Exception):
    """A program cannot start, or has ended. The message says why."""


def bind_error(host: str, port: int | str) -> OSError | None:
    """Return why the port cannot be bound; None if it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


class RunningProgram:
    """A running program and the file of its output."""

    def __init__(self, module: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._module = module
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise UpError with the last lines of output if the program has ended."""
        if self._process.poll() is not None:
            last = "".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-12:])
            raise UpError(f"{self._module} has ended with code {self._process.returncode}; its last lines:\n{last}")


@contextmanager
def running(module: str, arguments: list[str], log: Path) -> Iterator[RunningProgram]:
    """Run a program, and stop it at the end.

    It has its own session, so Ctrl-C reaches only this process, which stops the programs in order.
    """
    env = {name: value for name, value in os.environ.items() if name not in _OVERRIDDEN}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=output, stderr=output, start_new_session=True, env=env
        )
    try:
        yield RunningProgram(module, process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def stop_on_signal() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGINT, which background shells ignore."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
