"""Run a model server in a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.artifacts import models_config
from serving.artifacts.models_config import ModelConfig
from tests.programs import REPOSITORY, Program, free_port, running
from tests.serving.model_server.client import Client, Rest

READY = "Running gRPC ModelServer"
REST_READY = "Exporting HTTP/REST API"
#: Short polls, no retries, and enough concurrent calls.
PROMPT = ("--file_system_poll_wait_seconds=0.05", "--max_num_load_retries=0", "--grpc_max_threads=200")


@dataclass(frozen=True)
class Server:
    client: Client
    rest: Rest
    program: Program
    port: int
    rest_port: int


def flags(port: int, *more: str) -> list[str]:
    return ["-m", "serving.model_server", f"--port={port}", *PROMPT, *more]


def configure(root: Path, models: Sequence[ModelConfig]) -> Path:
    """Write models.config in one step."""
    path = root / "models.config"
    draft = root / "models.config.new"
    draft.write_text(models_config.render({model.name: model for model in models}))
    return draft.replace(path)


@contextlib.contextmanager
def serving(*more: str, rest: bool = False, env: dict[str, str] | None = None) -> Iterator[Server]:
    """Run a server; without ``rest`` its REST port stays closed."""
    port, rest_port = free_port(), free_port()
    rest_flags = [f"--rest_api_port={rest_port}"] if rest else []
    with (
        running(*flags(port, *rest_flags, *more), ready=REST_READY if rest else READY, env=env) as program,
        Client(f"127.0.0.1:{port}") as client,
    ):
        yield Server(client, Rest(rest_port), program, port, rest_port)


def fails(*more: str) -> str:
    """Expect a failed start with TensorFlow Serving's exit code, and return the log."""
    ended = subprocess.run(
        [sys.executable, *flags(free_port(), *more)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 255, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr
