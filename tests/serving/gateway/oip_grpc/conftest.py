"""A gateway with keys and a gRPC port, and clients of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from serving.gateway.http import keys_file
from tests.programs import free_port
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.programs import Gateway

Headers = dict[str, str]


@dataclass(frozen=True)
class GrpcGateway:
    """A gateway, its gRPC address, and headers with a key for everything and one for ``line`` only."""

    gateway: Gateway
    address: str
    anybody: Headers
    line_only: Headers


@pytest.fixture(scope="package")
def served_by_grpc(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcGateway]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    _, anybody = keys_file.create(file, "anybody")
    _, line_only = keys_file.create(file, "line only", models=frozenset({"line"}))
    port = free_port()
    flags = (f"--oip-grpc-port={port}", f"--keys={file}", "--max-body-bytes=100000", "--access-log=1")
    with programs.embedded_gateway(models_root, *flags) as gateway:
        programs.wait_until_ready(gateway, *served_models.NAMES)
        yield GrpcGateway(
            gateway,
            f"127.0.0.1:{port}",
            {"authorization": f"Bearer {anybody}"},
            {"x-api-key": line_only},
        )


@pytest.fixture(scope="package")
def channel(served_by_grpc: GrpcGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served_by_grpc.address) as channel:
        yield channel


@pytest.fixture(scope="package")
def rpcs(channel: grpc.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)


@pytest.fixture
def client(served_by_grpc: GrpcGateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served_by_grpc.address) as client:
        yield client
