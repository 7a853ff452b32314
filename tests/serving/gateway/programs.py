"""The gateway as a real process, for tests."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.programs import Program, free_port, running

#: Flags of the model server for short polls.
PROMPT = (
    "--file_system_poll_wait_seconds=0.15",
    "--model_config_file_poll_wait_seconds=0.15",
    "--max_num_load_retries=0",
)


@dataclass(frozen=True)
class Gateway:
    http: httpx.Client
    program: Program
    url: str


def gateway(
    model_server: str, config: Path, *flags: str, env: dict[str, str] | None = None, ready: str = "Uvicorn running"
) -> contextlib.AbstractContextManager[Gateway]:
    """Run ``python -m serving.gateway`` in front of a model server."""
    return _gateway(f"--model-server={model_server}", f"--models-config={config}", *flags, env=env, ready=ready)


def embedded_gateway(
    root: Path, *flags: str, env: dict[str, str] | None = None, ready: str = "Uvicorn running"
) -> contextlib.AbstractContextManager[Gateway]:
    """Run ``python -m serving.gateway`` with the models below ``root`` in its process."""
    return _gateway(f"--exports={root}", *flags, env=env, ready=ready)


@contextlib.contextmanager
def _gateway(*flags: str, env: dict[str, str] | None = None, ready: str = "Uvicorn running") -> Iterator[Gateway]:
    """Run a gateway; the block starts when it prints ``ready``, with its port open."""
    port = free_port()
    arguments = (f"--port={port}", "--poll-seconds=0.05")
    url = f"http://127.0.0.1:{port}"
    with (
        running("-m", "serving.gateway", *arguments, *flags, ready=ready, env=env) as program,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield Gateway(client, program, url)


def wait_until_ready(gateway: Gateway, *models: str) -> None:
    """Wait until the gateway knows a version of each model."""
    for model in models:
        gateway.program.wait_for(f"model {model}: requests that name no version are answered by version")
