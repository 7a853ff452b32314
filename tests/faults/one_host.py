"""A gateway with its models in its process, and a client that sends requests at a constant rate."""

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from serving.artifacts.registry import ModelRegistry
from tests.faults.client import Figures, LoadClient, load_arguments
from tests.programs import Program
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.programs import Gateway

MODEL = "shade"
_SHOWN = 8_000  # characters


class OneHost:
    """The gateway, its exports folder and the client's figures. ``requests`` is the minimum of each phase."""

    def __init__(self, root: Path, gateway: Gateway, client: LoadClient, requests: int) -> None:
        self.root = root
        self.gateway = gateway
        self.client = client
        self.requests = requests
        self.figures: list[Figures] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add a row of figures for the requests during the block, and for as many after it as a phase has."""
        started = time.monotonic()
        yield
        self.client.wait_for_answers(self.requests)
        self.figures.append(self.client.figures(name, started, time.monotonic()))

    def wait_until_decided(self, version: int) -> None:
        """Wait until the gateway has loaded a version or knows why it cannot."""
        self.gateway.program.wait_until(lambda: self._state(version) in ("AVAILABLE", "failed"))

    def _state(self, version: int) -> str:
        found = self.gateway.http.get(f"/v1/models/{MODEL}/versions").json()["versions"]
        for one in found:
            if one["version"] == version:
                return "failed" if one["error"] else str(one["state"])
        return "unknown"


def publish(root: Path | str, version: int) -> None:
    """Publish a version as a training does, and promote it."""
    registry = ModelRegistry(root, settle=0.2)
    with tempfile.TemporaryDirectory() as drafts, registry.staging(MODEL) as directory:
        served_models.shade(Path(drafts), version)
        shutil.copytree(Path(drafts, MODEL, str(version)), directory, dirs_exist_ok=True)
        assert registry.publish(MODEL, directory) == version
    registry.promote(MODEL, version)


@contextlib.contextmanager
def one_host(
    root: Path, *flags: str, rate: float, requests: int, key: str = "", env: Mapping[str, str] | None = None
) -> Iterator[OneHost]:
    """Run a gateway on an exports folder with version 1 of the model, and the client."""
    several = any(flag.startswith("--workers") for flag in flags)
    ready = "workers serve on port" if several else "answered by version"
    with programs.embedded_gateway(root, *flags, env=dict(env or {}), ready=ready) as gateway:
        if key:
            gateway.http.headers["x-api-key"] = key
        address = gateway.url.removeprefix("http://")
        arguments = load_arguments(rate, [address, address])  # a client sends a request again once
        program = Program([sys.executable, *arguments], {"VITRINE_API_KEY": key} if key else {})
        try:
            client = LoadClient(program)
            client.wait_for_answers(10)
            yield OneHost(root, gateway, client, requests)
        except AssertionError as error:
            error.add_note(f"the end of the gateway's output:\n{gateway.program.output[-_SHOWN:]}")
            raise
        finally:
            program.stop()
        assert "Traceback" not in gateway.program.output, gateway.program.output
