"""A gateway and an embedded model server with shipped models."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from serving.artifacts.registry import ModelRegistry
from tests.programs import free_port, model_server, shipped
from tests.serving.gateway import programs

_MODELS = ("fashion_cnn", "fashion_embedding", "sine_rnn")


@dataclass(frozen=True)
class Served:
    """Addresses: the gateway's URL, and host:port of its gRPC port and of the model server's gRPC and REST ports."""

    gateway: str
    gateway_grpc: str
    grpc: str
    rest: str


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    exports = tmp_path_factory.mktemp("exports")
    for model in _MODELS:
        shutil.copytree(shipped(model), exports / model / "1")
        ModelRegistry(exports).promote(model, 1)
    rest, gateway_grpc = free_port(), free_port()
    with (
        model_server(exports, f"--rest_api_port={rest}") as grpc,
        programs.gateway(
            grpc, exports / "models.config", "--deadline-seconds=60", f"--oip-grpc-port={gateway_grpc}"
        ) as gateway,
    ):
        programs.wait_until_ready(gateway, *_MODELS)
        yield Served(gateway.url, f"127.0.0.1:{gateway_grpc}", grpc, f"127.0.0.1:{rest}")
