"""The gateway as a real process, for tests."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.programs import Program, free_port, running

#: What the model server needs to follow quickly what a test does.
PROMPT = (
    "--file_system_poll_wait_seconds=0.05",
    "--model_config_file_poll_wait_seconds=0.05",
    "--max_num_load_retries=0",
)


@dataclass(frozen=True)
class Gateway:
    http: httpx.Client
    program: Program
    url: str


@contextlib.contextmanager
def gateway(model_server: str, config: Path, *flags: str, env: dict[str, str] | None = None) -> Iterator[Gateway]:
    """``python -m serving.gateway``, from the moment its port is open."""
    port = free_port()
    arguments = (f"--port={port}", f"--model-server={model_server}", f"--models-config={config}", "--poll-seconds=0.05")
    url = f"http://127.0.0.1:{port}"
    with (
        running("-m", "serving.gateway", *arguments, *flags, ready="Uvicorn running", env=env) as program,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield Gateway(client, program, url)


def wait_until_ready(gateway: Gateway, *models: str) -> None:
    """Until the gateway has learnt a version of each."""
    for model in models:
        gateway.program.wait_for(f"model {model}: requests that name no version are answered by version")
