"""The back end that runs models in the gateway's process, alone and behind the gateway."""

import asyncio
import contextlib
import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.artifacts import manifest
from serving.gateway.backends.base import ExampleBatch, VersionStatus
from serving.gateway.backends.embedded import EmbeddedBackend, EmbeddedSettings
from serving.gateway.errors import BadTensor, VersionGone
from serving.tfs_api import messages
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


@contextlib.asynccontextmanager
async def started(root: Path, *models: str) -> AsyncIterator[EmbeddedBackend]:
    """A back end whose version 1 of each model is AVAILABLE."""
    backend = EmbeddedBackend(EmbeddedSettings(root, root / "models.config", poll_seconds=0.05))
    try:
        async with asyncio.timeout(20):
            for model in models:
                while (await backend.status(model, 5)).get(1) != VersionStatus("AVAILABLE"):
                    await asyncio.sleep(0.01)
        yield backend
    finally:
        await backend.close()


@pytest.fixture
async def backend(root: Path) -> AsyncIterator[EmbeddedBackend]:
    async with started(root, "shade", "line") as backend:
        yield backend


async def test_parts_are_joined_by_rows(backend: EmbeddedBackend) -> None:
    signature = (await backend.signatures("line", 1, 5))["serving_default"]
    parts = [{"x": np.array([[1, 2, 3]], np.float32)}, {"x": np.array([[4, 5, 6]], np.float32)}]
    outputs = await backend.predict("line", 1, signature, parts, 1e12)
    assert {name: array.tolist() for name, array in outputs.items()} == {"y": [[1, 2, 3], [4, 5, 6]]} and outputs.clean


async def test_errors_of_the_engine_become_gateway_errors(backend: EmbeddedBackend) -> None:
    signature = (await backend.signatures("shade", 1, 5))["serving_default"]
    with pytest.raises(BadTensor, match="must have shape"):
        await backend.predict("shade", 1, signature, [{"image": np.zeros((1, 3, 3, 1), np.uint8)}], 1e12)
    with pytest.raises(VersionGone):
        await backend.predict("shade", 2, signature, [{"image": np.zeros((1, 4, 4, 1), np.uint8)}], 1e12)
    with pytest.raises(BadTensor):
        await backend.classify("shade", 1, "serving_default", ExampleBatch([b""]), 1e12)
    assert await backend.status("unknown", 5) == {}


async def test_a_cancelled_call_that_waits_for_a_thread_does_not_run(backend: EmbeddedBackend) -> None:
    inference = backend._inference
    signature = (await backend.signatures("shade", 1, 5))["serving_default"]
    image = {"image": np.zeros((1, 4, 4, 1), np.uint8)}

    def runs() -> int:
        return sum(inference.metrics.runtime_latency.of(("shade", "Predict", "TF1")).counts)

    release = threading.Event()
    blockers = [asyncio.create_task(inference.offload(release.wait)) for _ in range(64)]
    await asyncio.sleep(0)  # every thread is taken
    call = asyncio.create_task(backend.predict("shade", 1, signature, [image], 1e12))  # the first call of a version
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    release.set()
    await asyncio.gather(*blockers)
    assert runs() == 0
    await backend.predict("shade", 1, signature, [image], 1e12)
    assert runs() == 1


def write_texts(version: Path) -> None:
    """Write a model that looks up strings: ``classify`` → classes and scores, ``regress`` → one number."""
    saved_model = messages.SavedModel()
    meta = saved_model.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    outputs = {"classify": ["classes", "scores"], "regress": ["outputs"]}
    for name, aliases in outputs.items():
        definition = meta.signature_def[name]
        given = definition.inputs["inputs"]
        given.name, given.dtype = "inputs:0", messages.DT_STRING
        given.tensor_shape.dim.add().size = -1
        for alias in aliases:
            info = definition.outputs[alias]
            info.name, info.dtype = f"{alias}:0", messages.DT_STRING if alias == "classes" else messages.DT_FLOAT
            for size in (-1, 1):
                info.tensor_shape.dim.add().size = size
    look_up = {"domain": "ai.onnx.ml", "keys_strings": ["ab", "ac"]}
    nodes = [
        helper.make_node("Unsqueeze", ["inputs", "axis"], ["column"]),
        helper.make_node("LabelEncoder", ["column"], ["classes"], values_strings=["B", "C"], **look_up),
        helper.make_node("LabelEncoder", ["column"], ["scores"], values_floats=[0.5, 0.25], **look_up),
        helper.make_node("LabelEncoder", ["column"], ["outputs"], values_floats=[2.0, 3.0], **look_up),
    ]
    types = {"classes": TensorProto.STRING, "scores": TensorProto.FLOAT, "outputs": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "texts",
        [helper.make_tensor_value_info("inputs", TensorProto.STRING, [None])],
        [helper.make_tensor_value_info(name, data_type, [None, 1]) for name, data_type in types.items()],
        [numpy_helper.from_array(np.array([1]), "axis")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    listed = {name: {"inputs": ["inputs"], "outputs": aliases} for name, aliases in outputs.items()}
    helper.set_model_props(model, {"signatures": json.dumps(listed)})
    (version / ONNX).parent.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    onnx.save(model, version / ONNX)
    manifest.write(version)


async def test_classify_and_regress(tmp_path: Path) -> None:
    """With a context, which comes before each example."""
    write_texts(tmp_path / "texts" / "1")
    served_models.configure(tmp_path, {"texts": {}})
    async with started(tmp_path, "texts") as backend:
        examples = ExampleBatch([b"b", b"c"], context=b"a")
        classified = await backend.classify("texts", 1, "classify", examples, 1e12)
        assert (classified.labels.tolist(), classified.scores.tolist()) == ([["B"], ["C"]], [[0.5], [0.25]])
        numbers = await backend.regress("texts", 1, "regress", examples, 1e12)
        assert (numbers.dtype, numbers.tolist()) == (np.float32, [2, 3])
        with pytest.raises(BadTensor, match="Expected one output Tensor"):
            await backend.regress("texts", 1, "classify", examples, 1e12)
        with pytest.raises(BadTensor, match="takes UTF-8 strings only"):
            await backend.regress("texts", 1, "regress", ExampleBatch([b"a\xff"]), 1e12)


@pytest.fixture
def served(root: Path) -> Iterator[Gateway]:
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, "shade", "line")
        yield gateway


def predict(gateway: Gateway, path: str = "/v1/models/shade:embed") -> httpx.Response:
    return gateway.http.post(path, content=picture(100))


def test_new_versions_are_loaded_and_deleted_versions_are_unloaded(served: Gateway, root: Path) -> None:
    served_models.shade(root, 2)
    served.program.wait_until(lambda: predict(served, "/v1/models/shade/versions/2:embed").status_code == 200)
    assert predict(served).json()["version"] == 1
    shutil.rmtree(root / "shade" / "1")
    served.program.wait_until(lambda: predict(served).json().get("version") == 2)
    assert predict(served, "/v1/models/shade/versions/1:embed").status_code == 404


def test_a_version_without_an_onnx_export_is_reported(served: Gateway, root: Path) -> None:
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
    failed = [line for line in served.http.get("/metrics").text.splitlines() if "_model_version_failed{" in line]
    assert failed == ['vitrine_model_version_failed{model="shade",version="3"} 1.0']


def test_one_model_that_does_not_load_leaves_the_others_in_service(root: Path) -> None:
    (root / "line" / "1" / ONNX).write_bytes(b"damaged")
    with programs.embedded_gateway(root) as gateway:
        gateway.program.wait_until(lambda: gateway.http.get("/readyz").status_code == 200)
        ready = gateway.http.get("/readyz")
        assert ready.status_code == 200 and "model line has no AVAILABLE version" in str(ready.json()["notes"])
        assert gateway.http.get("/v2/health/ready").status_code == 200
        assert gateway.http.get("/v1/models/shade/ready").json() == {"model": "shade", "version": 1, "ready": True}
        assert gateway.http.get("/V1/MODELS/shade/READY").status_code == 200
        for path in ("/v1/models/line/ready", "/v2/models/line/ready"):
            broken = gateway.http.get(path)
            assert broken.status_code == 503 and "line" in broken.json()["error"]
        assert gateway.http.get("/v1/models/nosuch/ready").status_code == 404
        page = gateway.http.get("/metrics").text
        assert 'vitrine_model_ready{model="line"} 0.0' in page and 'vitrine_model_ready{model="shade"} 1.0' in page
        shutil.rmtree(root / "shade" / "1")
        gateway.program.wait_until(lambda: gateway.http.get("/readyz").status_code == 503)


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
