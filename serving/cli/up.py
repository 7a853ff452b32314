"""``vitrine up``: run the gateway and its models on one machine until Ctrl-C."""

import contextlib
import errno
import importlib.util
import os
import shlex
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from serving import extras
from serving.artifacts.models_config import MOUNT_POINT, ConfigError
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.user_models import shipped_models
from serving.cli.options import Exports, exports_or_default
from serving.cli.programs import RunningProgram, UpError, bind_error, running, stop_on_signal
from serving.cli.terminal import console, fail

#: Address of the model server's ports, which have no authentication.
LOCAL = "127.0.0.1"

#: Models that ``--train-missing`` trains if they have no version.
TRAINED = ("fashion_cnn", "fashion_embedding", "sine_rnn", "stock_rnn", "xo_cnn", "xo_mobilenet")

_GRPC_PORT = 8500  # default with a model server process
_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Setup:
    """The programs to start, and their addresses.

    Attributes:
        exports: folder of all models.
        logs: folder for the programs' output.
        host: address of the gateway.
        port: port of the gateway.
        grpc_port: port of TensorFlow Serving's gRPC API; None for the default.
        tls: whether the gateway has a certificate.
        model_server_process: whether the models run in a separate process.
        engine: engine of that process, auto or tensorflow.
        gateway_flags: more flags of the gateway.
    """

    exports: Path
    logs: Path
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    tls: bool = False
    model_server_process: bool = False
    engine: str = "auto"
    gateway_flags: Sequence[str] = ()

    @property
    def url(self) -> str:
        """URL of the gateway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def model_server_port(self) -> int | None:
        """Port of TensorFlow Serving's gRPC API; None for no port."""
        return self.grpc_port or (_GRPC_PORT if self.model_server_process else None)

    def gateway(self) -> list[str]:
        """Flags of the gateway."""
        flags = [f"--host={self.host}", f"--port={self.port}", *self.gateway_flags]
        if self.model_server_process:
            flags += [
                f"--model-server={LOCAL}:{self.model_server_port}",
                f"--models-config={self.exports / 'models.config'}",
                f"--routing={self.exports / 'routing.json'}",
            ]
        else:
            flags.append(f"--exports={self.exports}")
            if self.grpc_port:
                flags.append(f"--model-server-grpc-port={self.grpc_port}")
        return flags

    def model_server(self) -> list[str]:
        """Flags of the model server."""
        return [
            f"--port={self.model_server_port}",
            f"--host={LOCAL}",
            f"--model_config_file={self.exports / 'models.config'}",
            f"--mount={MOUNT_POINT}={self.exports.resolve()}",
            "--model_config_file_poll_wait_seconds=1",
            "--allow_version_labels_for_unavailable_models",
            "--enable_serialization_as_tensor_content",
            "--grpc_max_threads=200",
            "--max_num_load_retries=1",
            "--load_retry_interval_micros=1000000",
            f"--engine={self.engine}",
        ]


def run(setup: Setup, say: Callable[[str], None]) -> None:
    """Start the programs, and stop them after Ctrl-C or SIGTERM.

    Once the gateway is ready, ``say`` gets the lines of :func:`greeting`.

    Raises:
        UpError: the gateway does not become ready, or a program has ended.
    """
    grpc_port = setup.model_server_port
    setup.logs.mkdir(parents=True, exist_ok=True)
    programs = []
    with stop_on_signal(), contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        if setup.model_server_process:
            assert grpc_port is not None
            log = setup.logs / f"model_server-{grpc_port}.log"
            programs.append(stack.enter_context(running("serving.model_server", setup.model_server(), log)))
            _wait(lambda: bind_error(LOCAL, grpc_port) is not None, programs, "the model server does not listen")
        log = setup.logs / f"gateway-{setup.port}.log"
        programs.append(stack.enter_context(running("serving.gateway", setup.gateway(), log)))
        _wait(lambda: _is_ready(setup.url), programs, f"{setup.url}/readyz is not ready")
        keyed = any(flag.startswith("--keys") for flag in setup.gateway_flags)
        for line in greeting(setup.url, setup.logs, ModelRegistry(setup.exports).models(), keyed=keyed):
            say(line)
        while True:
            for program in programs:
                program.check()
            time.sleep(0.5)
    say("stopped")


def greeting(url: str, logs: Path, models: Collection[str], *, keyed: bool = False) -> list[str]:
    """Return the URL and commands to try with the models; ``keyed`` ones send VITRINE_KEY."""
    key = """ -H "Authorization: Bearer $VITRINE_KEY\"""" if keyed else ""
    examples = shipped_models().parent / "examples"
    boot, cross = (shlex.quote(_shown(examples / name)) for name in ("ankle_boot.png", "cross.jpg"))
    calls = {
        "fashion_cnn": f"--data-binary @{boot} -H 'Content-Type: image/png'{key} {url}/v1/models/fashion_cnn:predict",
        "xo_cnn": f"--data-binary @{cross} -H 'Content-Type: image/jpeg'{key} {url}/v1/models/xo_cnn:predict",
        "sine_rnn": f"""-d '{{"history": [0.31, 0.58], "horizon": 12}}' -H 'Content-Type: application/json'{key} """
        f"{url}/v1/models/sine_rnn:forecast",
    }
    return [
        f"Vitrine answers at {url} with {', '.join(models)}",
        f"  a page to try it: {url}    every call: {url}/docs    logs: {_shown(logs.absolute())}",
        "Commands to try in another terminal; Ctrl-C stops Vitrine:",
        *([f"  curl {calls[name]}" for name in calls if name in models] or [f"  curl{key} {url}/v1/models"]),
    ]


def _shown(path: Path) -> str:
    directory = Path.cwd()
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def check_ports(setup: Setup) -> None:
    """Raise UpError if a port cannot be bound."""
    _check_port(setup.host, setup.port, "--port")
    if setup.model_server_port is not None:
        _check_port(LOCAL, setup.model_server_port, "--grpc-port")


def _check_port(host: str, port: int, flag: str) -> None:
    error = bind_error(host, port)
    if error and error.errno == errno.EADDRINUSE:
        raise UpError(f"port {port} is taken by another program: choose another with {flag}")
    if error:
        raise UpError(f"cannot listen on {host}:{port} ({error}): see --host and {flag}")


def _is_ready(url: str) -> bool:
    """Return whether the gateway is ready.

    The request bypasses proxies and accepts any certificate, whose name may be that of another host.
    """
    any_certificate = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())  # nosec B323 # sends no key
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), any_certificate)
    try:
        with opener.open(f"{url}/readyz", timeout=2):
            return True
    except OSError:  # not listening yet, or 503
        return False


def _wait(done: Callable[[], bool], programs: Sequence[RunningProgram], complaint: str) -> None:
    until = time.monotonic() + _READY_SECONDS
    while not done():
        for program in programs:
            program.check()
        if time.monotonic() > until:
            raise UpError(f"{complaint} after {_READY_SECONDS:.0f} s; see the logs")
        time.sleep(0.05)


def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the gateway.", min=1, max=65535)] = 8000,
    workers: Annotated[str, typer.Option(help="Gateway processes on the port: a number, or auto.")] = "1",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            help="Port of TensorFlow Serving's gRPC API for other clients; 8500 with --model-server-process.",
            show_default=False,
        ),
    ] = None,
    model_server_process: Annotated[
        bool, typer.Option("--model-server-process", help="Run the models in a separate process.")
    ] = False,
    engine: Annotated[str, typer.Option(help="Engine of --model-server-process: auto or tensorflow.")] = "auto",
    keys: Annotated[Path | None, typer.Option(envvar="VITRINE_KEYS", help="File of API keys: vitrine keys.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve other machines without keys.")] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="Without keys, on this machine: allow changes of versions over HTTP.")
    ] = False,
    train_missing: Annotated[
        bool, typer.Option(help=f"First train those of {', '.join(TRAINED)} that have no version.")
    ] = False,
    exports: Exports = None,
    logs: Annotated[Path, typer.Option(help="Folder of the logs.")] = Path(".vitrine/logs"),
) -> None:
    """Start the gateway with its models, and print where to look."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise fail(extras.needs("vitrine up", "onnxruntime"))
    if train_missing and importlib.util.find_spec("keras") is None:
        raise fail(extras.needs("--train-missing", "keras"))
    if exports and "://" in exports:
        raise fail(
            f"--exports is {exports}; a folder is expected. "
            f"Copy the models to one with: python -m serving.artifacts.sync {exports} FOLDER"
        )
    if engine != "auto" and not model_server_process:
        raise fail(f"--engine {engine} needs --model-server-process: the gateway runs ONNX exports only")
    if grpc_port and workers != "1" and not model_server_process:
        raise fail(f"--grpc-port with --workers {workers} needs --model-server-process: workers cannot share the port")
    try:
        folder = Path(exports_or_default(exports))
    except (ConfigError, RegistryError) as error:
        raise fail(error) from None
    setup = Setup(
        exports=folder,
        logs=logs,
        host=host,
        port=port,
        grpc_port=grpc_port,
        tls=bool(os.environ.get("VITRINE_TLS_CERT")),
        model_server_process=model_server_process,
        engine=engine,
        gateway_flags=[
            *([f"--workers={workers}"] if workers != "1" else ()),
            *([f"--keys={keys}"] if keys else ()),
            *(["--insecure"] if insecure else ()),
            *(["--admin"] if admin else ()),
        ],
    )
    try:
        check_ports(setup)
        registry = ModelRegistry(folder)
        for name in TRAINED if train_missing else ():
            if not registry.versions(name):
                console.print(f"{name} has no version yet: training it")
                subprocess.run([sys.executable, "-m", "training", name, "--exports", str(folder)], check=False)
        if not registry.models():
            raise UpError(f"{folder} has no models; train one with: vitrine train fashion_cnn --exports {folder}")
        run(setup, lambda line: print(line, flush=True))
    except UpError as error:
        raise fail(error) from None
