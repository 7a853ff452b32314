"""The gRPC port: health, reflection, deadlines, drain, workers and TLS."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import trustme
from fastapi import FastAPI
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.utils import InferenceServerException

from serving.gateway.errors import Overloaded
from serving.gateway.http.admission import Admission, create_shedder
from serving.gateway.models.signature import TensorSpec
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.oip_grpc.server import OipGrpcServer
from serving.gateway.settings import Settings
from serving.tfs_api import messages
from tests.programs import free_port
from tests.serving.gateway import programs, stub
from tests.serving.gateway.oip_grpc.test_calls import raw
from tests.serving.gateway.programs import Gateway

SERVICE = "inference.GRPCInferenceService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class HeldStub(stub.Stub):
    """Answers Predict when ``release`` is set."""

    def __init__(self) -> None:
        super().__init__({"held": {"only": stub.echo("only", TensorSpec("x", messages.DT_FLOAT, (None, 3)))}})
        self.called, self.release = threading.Event(), threading.Event()

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.called.set()
        self.release.wait(60)
        return super().predict(request, context)


@contextlib.contextmanager
def held(tmp_path: Path, *flags: str) -> Iterator[tuple[HeldStub, Gateway, str]]:
    """A gateway before a stub that holds its answers, and its gRPC address."""
    model_server, port = HeldStub(), free_port()
    with (
        stub.serving(model_server) as address,
        programs.gateway(address, tmp_path / "none", "--models=held", f"--oip-grpc-port={port}", *flags) as gateway,
    ):
        programs.wait_until_ready(gateway, "held")
        try:
            yield model_server, gateway, f"127.0.0.1:{port}"
        finally:
            model_server.release.set()


def test_health(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        assert health.Check(health_pb2.HealthCheckRequest(service=service)).status == SERVING
    with pytest.raises(grpc.RpcError) as raised:
        health.Check(health_pb2.HealthCheckRequest(service="other"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection(channel: grpc.Channel) -> None:
    asked = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    )
    listed, file = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(asked))
    assert SERVICE in {one.name for one in listed.list_services_response.service}
    (serialized,) = file.file_descriptor_response.file_descriptor_proto
    (service,) = FileDescriptorProto.FromString(serialized).service
    assert "ModelInfer" in {method.name for method in service.method}


def test_deadlines_and_drain(tmp_path: Path) -> None:
    """A call in flight is answered after SIGTERM, while health watches see the drain."""
    with held(tmp_path, "--drain-seconds=1") as (model_server, gateway, address):
        with grpc.insecure_channel(address) as channel, triton.InferenceServerClient(address) as client:
            with pytest.raises(InferenceServerException, match=r"within the deadline of 0\.05 s"):
                client.infer("held", [raw()], headers={"x-request-timeout": "50ms"})
            with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):  # by the client or the gateway
                client.infer("held", [raw()], client_timeout=0.05)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == SERVING
            model_server.called.clear()
            answers: list[np.ndarray] = []
            call = threading.Thread(target=lambda: answers.append(client.infer("held", [raw()]).as_numpy("echo_x")))
            call.start()
            assert model_server.called.wait(30)
            gateway.program.process.send_signal(signal.SIGTERM)
            assert next(watch).status == NOT_SERVING
            gateway.program.wait_for("Shutting down")
            model_server.release.set()
            call.join(30)
            assert answers[0].shape == (2, 3)
            assert gateway.program.process.wait(20) == 0
        assert "Traceback" not in gateway.program.output


def test_workers_share_the_port_and_tls_protects_it(models_root: Path, tmp_path: Path) -> None:
    ca = trustme.CA()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = ca.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(cert, append=True)
    port = free_port()
    flags = (f"--oip-grpc-port={port}", "--workers=2", f"--tls-cert={cert}", f"--tls-key={key}")
    credentials = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
    with programs.embedded_gateway(models_root, *flags, ready="2 workers serve") as gateway:
        for _ in range(12):  # each channel has a connection, and each connection a worker
            options = [("grpc.use_local_subchannel_pool", 1)]
            with triton.InferenceServerClient(f"localhost:{port}", creds=credentials, channel_args=options) as client:
                assert client.infer("line", [raw()]).as_numpy("y").shape == (2, 3)
                (statistics,) = client.get_inference_statistics("line").model_stats
        assert statistics.inference_stats.success.count == 12
        url = gateway.url.replace("http:", "https:")
        with httpx.Client(base_url=url, verify=False) as http:
            workers = http.get("/v2/models/line/stats").json()
        assert workers["model_stats"][0]["inference_count"] == 24


async def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(oip_grpc_port=taken.getsockname()[1])
        shedder = create_shedder(settings, GatewayMetrics())
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{settings.oip_grpc_port}"):
            OipGrpcServer(FastAPI(), settings, lambda: True, set(), shedder, shared=False)


def test_a_body_is_not_read_in_an_overload() -> None:
    shedder = create_shedder(Settings(), GatewayMetrics())
    admission = Admission(1024, 1, shedder)
    admission.check_load()
    shedder.is_overloaded, shedder.running = True, 1000
    with pytest.raises(Overloaded, match="the gateway is overloaded; try again later"):
        admission.check_load()


def test_a_port_is_for_one_service_only() -> None:
    with pytest.raises(ValueError, match="oip_grpc_port is 8000, as another port of this gateway"):
        Settings(oip_grpc_port=8000)
