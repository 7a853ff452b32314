"""Model server and gateway together on one machine, from the first line to Ctrl-C."""

import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from serving.store import MOUNT_POINT

EXAMPLES = Path(__file__).parent.parent / "examples"


class UpError(Exception):
    """The programs cannot be started or did not stay up; the message says why."""


@dataclass(frozen=True)
class Addresses:
    """Where the programs listen."""

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int = 8500

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def run(exports: Path, addresses: Addresses, say: Callable[[str], None], engine: str = "auto") -> None:
    """Start both, say where to look, and return once both have ended after Ctrl-C or SIGTERM.

    Raises:
        UpError: a port is taken, or a program ended by itself.
    """
    for port, flag in ((addresses.port, "--port"), (addresses.grpc_port, "--grpc-port")):
        if _taken(addresses.host, port):
            raise UpError(f"port {port} is taken by another program: choose another with {flag}")
    server = [
        f"--port={addresses.grpc_port}",
        f"--host={addresses.host}",
        f"--model_config_file={exports / 'models.config'}",
        f"--mount={MOUNT_POINT}={exports.resolve()}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        "--enable_serialization_as_tensor_content",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=1000000",
        f"--engine={engine}",
    ]
    gateway = [
        f"--host={addresses.host}",
        f"--port={addresses.port}",
        f"--model-server={addresses.host}:{addresses.grpc_port}",
        f"--models-config={exports / 'models.config'}",
        "--log-level=warning",
    ]
    with (
        _stop_on_signal(),
        _program("serving.model_server", server) as model_server,
        _program("serving.gateway", gateway) as front,
    ):
        programs = {"the model server": model_server, "the gateway": front}
        try:
            _wait_until_ready(addresses.url, programs)
            for line in greeting(addresses.url):
                say(line)
            while True:
                _check(programs)
                time.sleep(0.5)
        except KeyboardInterrupt:
            say("stopping")


def greeting(url: str) -> list[str]:
    """Where to look, and three lines to try."""
    boot, cross = (shlex.quote(_shown(EXAMPLES / name)) for name in ("ankle_boot.png", "cross.jpg"))
    return [
        f"Vitrine answers at {url}  (a page to try it; {url}/docs describes every call). Ctrl-C stops it. Try:",
        f"  curl --data-binary @{boot} -H 'Content-Type: image/png' {url}/v1/models/fashion_cnn:predict",
        f"  curl --data-binary @{cross} -H 'Content-Type: image/jpeg' {url}/v1/models/xo_cnn:predict",
        f'  curl --json \'{{"history": [0.31, 0.58], "horizon": 12}}\' {url}/v1/models/sine_rnn:forecast',
    ]


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


@contextmanager
def _program(module: str, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """One program in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _stop_on_signal() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(programs: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in programs.items():
        if process.poll() is not None:
            raise UpError(f"{name} has ended with code {process.returncode}; what it printed is above")


def _wait_until_ready(url: str, programs: dict[str, subprocess.Popen[bytes]], patience: float = 120) -> None:
    reason = "it does not answer"
    until = time.monotonic() + patience
    while time.monotonic() < until:
        _check(programs)
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read().decode(errors="replace")
        except OSError as error:
            reason = str(error)
        time.sleep(0.05)
    raise UpError(f"the gateway is not ready after {patience:.0f} s: {reason}")
