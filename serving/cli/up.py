"""Model server and gateway together on one machine, from the first line to Ctrl-C."""

import contextlib
import errno
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from serving.artifacts.registry import MOUNT_POINT, ModelRegistry
from serving.cli.options import Exports
from serving.cli.terminal import console, fail

#: Where the model server listens: it knows no keys, so nobody but the gateway is to reach it.
LOCAL = "127.0.0.1"
EXAMPLES = Path(__file__).parents[2] / "examples"


#: Models of the page's showcase: `vitrine up` trains those that have no version yet.
SHOWN = ("fashion_cnn", "fashion_embedding", "sine_rnn", "stock_rnn", "xo_cnn", "xo_mobilenet")


class UpError(Exception):
    """The programs cannot be started or did not stay up; the message says why."""


@dataclass(frozen=True)
class Addresses:
    """Where the programs listen; ``tls`` is whether the gateway has a certificate."""

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int = 8500
    tls: bool = False

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def run(
    exports: Path,
    addresses: Addresses,
    logs: Path,
    say: Callable[[str], None],
    engine: str = "auto",
    door: Sequence[str] = (),
) -> None:
    """Start both, say where to look, and return once both have ended after Ctrl-C or SIGTERM.

    Args:
        exports: the folder of all models.
        addresses: where the programs listen.
        logs: folder for what they print.
        say: told each line for the user.
        engine: of the model server, auto or tensorflow.
        door: flags of the gateway that say who may come in.

    Raises:
        UpError: a port is taken or no such address is here, or a program ended by itself.
    """
    for host, port, flag in ((addresses.host, addresses.port, "--port"), (LOCAL, addresses.grpc_port, "--grpc-port")):
        error = _refusal(host, port)
        if error and error.errno == errno.EADDRINUSE:
            raise UpError(f"port {port} is taken by another program: choose another with {flag}")
        if error:
            raise UpError(f"{host}:{port} cannot be listened on ({error}): see --host and {flag}")
    server = [
        f"--port={addresses.grpc_port}",
        f"--host={LOCAL}",
        f"--model_config_file={exports / 'models.config'}",
        f"--mount={MOUNT_POINT}={exports.resolve()}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        "--enable_serialization_as_tensor_content",
        "--grpc_max_threads=200",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=1000000",
        f"--engine={engine}",
    ]
    gateway = [
        f"--host={addresses.host}",
        f"--port={addresses.port}",
        f"--model-server={LOCAL}:{addresses.grpc_port}",
        f"--models-config={exports / 'models.config'}",
        f"--routing={exports / 'routing.json'}",
        *door,
    ]
    logs.mkdir(parents=True, exist_ok=True)
    with (
        _stop_on_signal(),
        contextlib.suppress(KeyboardInterrupt),
        _program("serving.model_server", server, logs / f"model_server-{addresses.grpc_port}.log") as model_server,
    ):
        _wait(lambda: _taken(LOCAL, addresses.grpc_port), [model_server], "the model server does not listen")
        with _program("serving.gateway", gateway, logs / f"gateway-{addresses.port}.log") as front:
            programs = [model_server, front]
            _wait(lambda: _is_ready(addresses.url), programs, f"{addresses.url}/readyz does not say that it is ready")
            for line in greeting(addresses.url, logs, keyed=any(flag.startswith("--keys") for flag in door)):
                say(line)
            while True:
                for program in programs:
                    program.check()
                time.sleep(0.5)
    say("stopped")


def greeting(url: str, logs: Path, *, keyed: bool = False) -> list[str]:
    """Where to look, and three lines to try; they bring the key of VITRINE_KEY where one is needed."""
    key = """ -H "Authorization: Bearer $VITRINE_KEY\"""" if keyed else ""
    boot, cross = (shlex.quote(_shown(EXAMPLES / name)) for name in ("ankle_boot.png", "cross.jpg"))
    return [
        f"Vitrine answers at {url}",
        f"  a page to try it: {url}    every call: {url}/docs    logs: {_shown(logs.absolute())}",
        "Three lines for another terminal; Ctrl-C here stops it:",
        f"  curl --data-binary @{boot} -H 'Content-Type: image/png'{key} {url}/v1/models/fashion_cnn:predict",
        f"  curl --data-binary @{cross} -H 'Content-Type: image/jpeg'{key} {url}/v1/models/xo_cnn:predict",
        f"""  curl -d '{{"history": [0.31, 0.58], "horizon": 12}}' -H 'Content-Type: application/json'{key} """
        f"{url}/v1/models/sine_rnn:forecast",
    ]


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _taken(host: str, port: int) -> bool:
    return _refusal(host, port) is not None


def _refusal(host: str, port: int) -> OSError | None:
    """Why nothing of ours could listen there, None where it could."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


class _Running:
    """A program that was started, and where it prints to."""

    def __init__(self, module: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._module = module
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raises UpError with its last lines if the program has ended."""
        if self._process.poll() is not None:
            last = "".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-12:])
            raise UpError(f"{self._module} has ended with code {self._process.returncode}; its last lines:\n{last}")


@contextmanager
def _program(module: str, arguments: list[str], log: Path) -> Iterator[_Running]:
    """One program in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield _Running(module, process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _stop_on_signal() -> Iterator[None]:
    """SIGTERM and Ctrl-C both end us, also where a shell in the background had Ctrl-C ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ready(url: str) -> bool:
    """Asked without a proxy, which would not know this machine, and whomever the certificate is made out to."""
    trusting = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusting)
    try:
        with opener.open(f"{url}/readyz", timeout=2):
            return True
    except OSError:  # not there yet, or 503
        return False


def _wait(done: Callable[[], bool], programs: list[_Running], complaint: str, patience: float = 120) -> None:
    until = time.monotonic() + patience
    while not done():
        for program in programs:
            program.check()
        if time.monotonic() > until:
            raise UpError(f"{complaint} after {patience:.0f} s; the logs say more")
        time.sleep(0.05)


def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="Of the model server.")] = 8500,
    engine: Annotated[str, typer.Option(help="auto (ONNX where there is a twin) or tensorflow.")] = "auto",
    keys: Annotated[Path | None, typer.Option(envvar="VITRINE_KEYS", help="Of callers: vitrine keys.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve other machines without keys.")] = False,
    train_missing: Annotated[bool, typer.Option(help="First train what the page shows and has no version yet.")] = True,
    exports: Exports = "exports",
    logs: Annotated[Path, typer.Option(help="Where both programs' logs go.")] = Path(".vitrine/logs"),
) -> None:
    """Train what is missing, start model server and gateway, and say where to look."""
    if "://" in exports:
        raise fail(f"programs read a folder; python -m serving.artifacts.sync {exports} FOLDER brings them to one")
    if train_missing:
        missing = [name for name in SHOWN if not ModelRegistry(exports).versions(name)]
        for name in missing:
            console.print(f"{name} has no version yet: training it")
            subprocess.run([sys.executable, "-m", "training", name, "--exports", exports], check=False)
    if not ModelRegistry(exports).models():
        raise fail(f"there is no model in {exports}, and none could be trained")
    door = [*([f"--keys={keys}"] if keys else ()), *(["--insecure"] if insecure else ())]
    addresses = Addresses(host, port, grpc_port, tls=bool(os.environ.get("VITRINE_TLS_CERT")))
    try:
        run(Path(exports), addresses, logs, lambda line: print(line, flush=True), engine, door)
    except UpError as error:
        raise fail(error) from None
