"""The models in the gateway's process: versions come and go, and whatever needs TensorFlow says so."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.gateway.backends.base import ExampleBatch
from serving.gateway.backends.embedded import EmbeddedBackend, EmbeddedSettings
from serving.gateway.errors import BadTensor, VersionGone
from tests.programs import free_port
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

ONNX = Path("assets.extra/model.onnx")
MANIFEST = Path("assets.extra/MANIFEST.sha256")


def without_export(version: Path) -> None:
    """Make a version that has no ONNX export."""
    (version / ONNX).unlink()
    lines = (version / MANIFEST).read_text().splitlines(keepends=True)
    (version / MANIFEST).write_text("".join(line for line in lines if "model.onnx" not in line))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    served_models.shade(tmp_path, 1)
    served_models.line(tmp_path, 1)
    served_models.configure(tmp_path, {"shade": {"stable": 1}, "line": {}})
    return tmp_path


@pytest.fixture
async def backend(root: Path) -> AsyncIterator[EmbeddedBackend]:
    one = EmbeddedBackend(EmbeddedSettings(root, root / "models.config", poll_seconds=0.05))
    async with asyncio.timeout(20):
        for model in ("shade", "line"):
            while (await one.status(model, 5)).get(1) is None or (await one.status(model, 5))[1].state != "AVAILABLE":
                await asyncio.sleep(0.01)
    yield one
    await one.close()


async def test_parts_are_joined_by_rows(backend: EmbeddedBackend) -> None:
    signature = (await backend.signatures("line", 1, 5))["serving_default"]
    parts = [{"x": np.array([[1, 2, 3]], np.float32)}, {"x": np.array([[4, 5, 6]], np.float32)}]
    outputs = await backend.predict("line", 1, signature, parts, 1e12)
    assert {name: array.tolist() for name, array in outputs.items()} == {"y": [[1, 2, 3], [4, 5, 6]]} and outputs.clean


async def test_errors_are_those_of_the_gateway(backend: EmbeddedBackend) -> None:
    signature = (await backend.signatures("shade", 1, 5))["serving_default"]
    with pytest.raises(BadTensor, match="must have shape"):
        await backend.predict("shade", 1, signature, [{"image": np.zeros((1, 3, 3, 1), np.uint8)}], 1e12)
    with pytest.raises(VersionGone):
        await backend.predict("shade", 2, signature, [{"image": np.zeros((1, 4, 4, 1), np.uint8)}], 1e12)
    with pytest.raises(BadTensor):
        await backend.classify("shade", 1, "serving_default", ExampleBatch([b""]), 1e12)
    assert await backend.status("nobody", 5) == {}


async def test_a_cancelled_call_that_waits_for_a_thread_does_not_run(backend: EmbeddedBackend) -> None:
    signature = (await backend.signatures("shade", 1, 5))["serving_default"]
    rows = {"image": np.zeros((1_000_000, 4, 4, 1), np.uint8)}  # seconds of work for every thread
    busy = [asyncio.create_task(backend.predict("shade", 1, signature, [rows], 1e12)) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in busy[2:]:
        task.cancel()
    ended = await asyncio.gather(*busy, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in ended[2:]] == [True] * 6


@pytest.fixture
def served(root: Path) -> Iterator[Gateway]:
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, "shade", "line")
        yield gateway


def predict(gateway: Gateway, path: str = "/v1/models/shade:embed") -> httpx.Response:
    return gateway.http.post(path, content=picture(100))


def test_a_new_version_is_loaded_and_one_that_is_deleted_goes(served: Gateway, root: Path) -> None:
    served_models.shade(root, 2)
    served.program.wait_until(lambda: predict(served, "/v1/models/shade/versions/2:embed").status_code == 200)
    assert predict(served).json()["version"] == 1
    shutil.rmtree(root / "shade" / "1")
    served.program.wait_until(lambda: predict(served).json().get("version") == 2)
    assert predict(served, "/v1/models/shade/versions/1:embed").status_code == 404


def test_a_version_without_an_onnx_export_says_what_to_do(served: Gateway, root: Path) -> None:
    served_models.shade(root, 2)
    shutil.copytree(root / "shade" / "2", root / "draft")
    without_export(root / "draft")
    (root / "draft").rename(root / "shade" / "3")
    served.program.wait_until(lambda: predict(served, "/v1/models/shade/versions/3:embed").status_code == 501)
    error = predict(served, "/v1/models/shade/versions/3:embed").json()["error"]
    assert "version 3 of model shade cannot be served" in error and "--model-server-process" in error
    assert predict(served).json()["version"] == 1
    ready = served.http.get("/readyz").json()
    assert ready["ready"] and any("shade version 3 is not served" in note for note in ready["notes"])


def test_wrong_tensors_do_not_reach_the_engine(served: Gateway) -> None:
    refused = served.http.post("/v1/models/line:predict", json={"instances": [[1, 2], [3, 4]]})
    assert refused.status_code == 400 and "it has shape [2, 2]" in refused.json()["error"]


def test_tensorflow_servings_ports_open_on_request(root: Path) -> None:
    grpc_port, rest_port = free_port(), free_port()
    flags = (f"--model-server-grpc-port={grpc_port}", f"--model-server-rest-port={rest_port}")
    with programs.embedded_gateway(root, *flags) as gateway:
        programs.wait_until_ready(gateway, "shade", "line")
        gateway.program.wait_for("Exporting HTTP/REST API")
        answer = httpx.post(
            f"http://127.0.0.1:{rest_port}/v1/models/line:predict", json={"instances": [[2.0, 3.0, 4.0]]}
        )
        assert answer.json() == {"predictions": [[2.0, 3.0, 4.0]]}
        socket.create_connection(("127.0.0.1", grpc_port), 10).close()


def test_versions_without_a_valid_signature_are_not_loaded(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = tmp_path_factory.mktemp("keys") / "verify.pem"
    public = Ed25519PrivateKey.generate().public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key.write_bytes(public.public_bytes(serialization.Encoding.PEM, form))
    with programs.embedded_gateway(root, f"--verify-key-file={key}") as gateway:
        gateway.program.wait_for("is not to be served")
        ready = gateway.http.get("/readyz")
        assert ready.status_code == 503 and "no AVAILABLE version" in json.dumps(ready.json()["reasons"])
