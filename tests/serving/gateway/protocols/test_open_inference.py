"""The Open Inference Protocol v2 over real sockets: Triton's client, plain JSON and errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.errors import BadRequestError, NotFoundError
from open_inference.openapi.types import InferenceRequest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from serving.gateway.codecs.open_inference import request, tensor_types
from serving.gateway.errors import TooLarge
from serving.gateway.models.signature import TensorSpec
from serving.tfs_api.tensors import numpy_type
from tests.programs import free_port
from tests.serving.gateway import programs, stub
from tests.serving.gateway.codecs.test_large_json import reservation
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.served_models import NAMES

INFER = "/v2/models/line/infer"
X = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}


@pytest.fixture
def client(served: Gateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as one:
        yield one


@pytest.fixture(scope="module")
def grpc_port() -> int:
    """The gRPC port of ``echo``."""
    return free_port()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory, grpc_port: int) -> Iterator[Gateway]:
    """A model for each tensor type that returns its input."""
    models = {
        f"echo_{name.lower()}": {"only": stub.echo("only", TensorSpec("x", data_type, (None, 2)))}
        for data_type, name in tensor_types.DATATYPES.items()
    }
    names = ",".join(models)
    missing = tmp_path_factory.mktemp("none") / "none"
    with (
        stub.serving(stub.Stub(models)) as address,
        programs.gateway(address, missing, f"--models={names}", f"--oip-grpc-port={grpc_port}") as one,
    ):
        programs.wait_until_ready(one, *models)
        yield one


def example(name: str) -> np.ndarray:
    data_type = next(number for number, one in tensor_types.DATATYPES.items() if one == name)
    if name == "BYTES":
        return np.array([[b"\x00\xff", b""], ["ä".encode(), b"plain"]], object)
    dtype = numpy_type(data_type)
    assert dtype is not None
    if name in ("FP16", "BF16", "FP32", "FP64"):
        return np.array([[1.5, -0.25], [1e-3, 300]], dtype)
    if name == "BOOL":
        return np.array([[True, False], [False, True]])
    limits = np.iinfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


def tensor(name: str, datatype: str, array: np.ndarray, binary: bool = True) -> triton.InferInput:
    return triton.InferInput(name, list(array.shape), datatype).set_data_from_numpy(array, binary_data=binary)


def test_tritons_client_reads_metadata_and_health(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("line")
    assert client.is_model_ready("line", "1")
    assert not client.is_model_ready("line", "7")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["extensions"][0] == "binary_tensor_data"
    assert client.get_model_metadata("shade") == {
        "name": "shade",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 4, 4, 1]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert client.get_model_metadata("line", "1")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]


def test_tritons_client_reads_config_index_and_statistics(client: triton.InferenceServerClient) -> None:
    assert client.get_model_config("shade", "1") == {
        "name": "shade",
        "platform": "tensorflow_savedmodel",
        "backend": "tensorflow",
        "max_batch_size": 128,
        "input": [{"name": "image", "data_type": "TYPE_UINT8", "dims": [4, 4, 1]}],
        "output": [{"name": "probabilities", "data_type": "TYPE_FP32", "dims": [3]}],
        "dynamic_batching": {"preferred_batch_size": [], "max_queue_delay_microseconds": 0},
    }
    index = client.get_model_repository_index()
    assert {"name": "line", "version": "1", "state": "READY", "reason": ""} in index
    client.infer("shade", [tensor("image", "UINT8", np.zeros((2, 4, 4, 1), np.uint8))])
    (found,) = client.get_inference_statistics("shade", "1")["model_stats"]
    assert found["inference_count"] >= 2 and found["inference_stats"]["success"]["ns"] > 0
    assert found in client.get_inference_statistics("shade")["model_stats"]
    assert {one["name"] for one in client.get_inference_statistics()["model_stats"]} == {*NAMES}
    with pytest.raises(InferenceServerException, match="model line has no version 7"):
        client.get_inference_statistics("line", "7")
    with pytest.raises(InferenceServerException, match="not by request; publish a version"):
        client.unload_model("line")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"ready": 3}'])
def test_a_wrong_query_of_the_index(http: httpx.Client, body: bytes) -> None:
    refused(http.post("/v2/repository/index", content=body), 400, '{"ready": true}')


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("version", ["", "1"])
def test_tritons_client_infers(
    client: triton.InferenceServerClient, binary_in: bool, binary_out: bool, version: str
) -> None:
    x = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)
    requested = [triton.InferRequestedOutput("y", binary_data=binary_out)]
    answer = client.infer("line", [tensor("x", "FP32", x, binary_in)], version, outputs=requested, request_id="mine")
    np.testing.assert_array_equal(answer.as_numpy("y"), x)
    head = answer.get_response()
    assert (head["model_name"], head["model_version"], head["id"]) == ("line", "1", "mine")


def test_tritons_client_selects_a_signature(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", "FP32", np.ones((1, 3), np.float32)), tensor("shift", "INT32", np.array([[2]], np.int32))]
    answer = client.infer("line", inputs, parameters={"signature_name": "both"})
    assert answer.as_numpy("z").tolist() == [[3, 3, 3]]
    requested = [triton.InferRequestedOutput("z", binary_data=False)]
    answer = client.infer("line", inputs, outputs=requested, parameters={"signature_name": "both"})
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["z"]


async def test_tritons_asynchronous_client(served: Gateway) -> None:
    import tritonclient.http.aio as aio

    async with aio.InferenceServerClient(served.url.removeprefix("http://")) as client:
        answer = await client.infer("shade", [tensor("image", "UINT8", np.full((2, 4, 4, 1), 250, np.uint8))])
        assert answer.as_numpy("probabilities").argmax(axis=1).tolist() == [2, 2]


def test_the_protocols_own_client(served: Gateway) -> None:
    """The client that the working group generates from the protocol's OpenAPI document."""
    client = OpenInferenceClient(base_url=served.url, httpx_client=served.http)
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("line")
    client.check_model_version_readiness("line", "1")
    assert client.read_server_metadata().name == "vitrine"
    assert client.read_model_metadata("shade").inputs[0].shape == [-1, 4, 4, 1]
    answer = client.model_infer("line", request=InferenceRequest(id="mine", inputs=[X]))
    assert (answer.model_name, answer.model_version, answer.id) == ("line", "1", "mine")
    (output,) = answer.outputs
    assert (output.name, output.datatype, output.shape) == ("y", "FP32", [1, 3])
    assert list(output.data.__root__) == [1, 2, 3]
    with pytest.raises(NotFoundError):
        client.check_model_version_readiness("line", "7")
    with pytest.raises(BadRequestError, match="float32"):
        client.model_version_infer("line", "1", request=InferenceRequest(inputs=[{**X, "shape": [3]}]))


@pytest.mark.parametrize("name", sorted(tensor_types.DATATYPES.values()))
def test_every_type_round_trips_in_binary(echo: Gateway, name: str) -> None:
    array = example(name)
    with triton.InferenceServerClient(echo.url.removeprefix("http://")) as client:
        model = f"echo_{name.lower()}"
        assert client.get_model_metadata(model)["inputs"][0]["datatype"] == name
        answer = client.infer(model, [tensor("x", name, array)])
        back = answer.as_numpy("echo_x")
        assert back.tolist() == array.tolist()
        assert np_to_triton_dtype(back.dtype) == name


@pytest.mark.parametrize("name", sorted(set(tensor_types.DATATYPES.values()) - {"BYTES"}))
def test_every_type_round_trips_in_json(echo: Gateway, name: str) -> None:
    array = example(name)
    values = array.astype(float if name in ("FP16", "BF16") else array.dtype).tolist()
    for data in (values, [*values[0], *values[1]]):  # nested, and flat
        request = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": name, "data": data}]}
        answer = echo.http.post(f"/v2/models/echo_{name.lower()}/infer", json=request)
        assert answer.status_code == 200, answer.text
        (output,) = answer.json()["outputs"]
        assert (output["datatype"], output["shape"]) == (name, [2, 2])
        np.testing.assert_array_equal(np.array(output["data"], array.dtype).reshape(2, 2), array)


@pytest.mark.parametrize("binary", [True, False])
def test_requests_over_the_row_limit_are_split(echo: Gateway, binary: bool) -> None:
    """The stub reports each call of more than 128 rows as a violation."""
    array = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    with triton.InferenceServerClient(echo.url.removeprefix("http://")) as client:
        requested = [triton.InferRequestedOutput("echo_x", binary_data=binary)]
        answer = client.infer("echo_fp32", [tensor("x", "FP32", array, binary)], outputs=requested)
        assert answer.as_numpy("echo_x").tolist() == array.tolist()


def test_text_in_json(echo: Gateway) -> None:
    path = "/v2/models/echo_bytes/infer"
    one = {"name": "x", "shape": [1, 2], "datatype": "BYTES", "data": ["shoe", "ä"]}
    assert echo.http.post(path, json={"inputs": [one]}).json()["outputs"][0]["data"] == ["shoe", "ä"]
    no_text = {**one, "data": [{"b64": "/w=="}, "a"]}
    refused(echo.http.post(path, json={"inputs": [no_text]}), 400, "not UTF-8", "binary_data")


def test_nan_and_infinity(echo: Gateway) -> None:
    """A model without a card accepts NaN in binary; JSON cannot express it."""
    array = np.array([[np.nan, np.inf]], np.float32)
    with triton.InferenceServerClient(echo.url.removeprefix("http://")) as client:
        sent = [tensor("x", "FP32", array)]
        np.testing.assert_array_equal(client.infer("echo_fp32", sent).as_numpy("echo_x"), array)
        with pytest.raises(InferenceServerException, match="NaN or infinity") as failure:
            client.infer("echo_fp32", sent, outputs=[triton.InferRequestedOutput("echo_x", binary_data=False)])
        assert failure.value.status() == "502"


def test_a_request_and_response_in_json(http: httpx.Client) -> None:
    answer = http.post(INFER, json={"inputs": [X], "id": "mine"})
    assert answer.json() == {
        "model_name": "line",
        "model_version": "1",
        "id": "mine",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 2.0, 3.0]}],
    }
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["content-type"] == "application/json"
    assert http.post("/v2/models/line/versions/1/infer", json={"inputs": [X]}).status_code == 200


def test_a_header_gives_the_size_of_the_json_part(http: httpx.Client) -> None:
    answer = http.post(INFER, json={"inputs": [X], "parameters": {"binary_data_output": True}})
    assert answer.headers["content-type"] == "application/octet-stream"
    end = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:end])["outputs"]
    assert output == {"name": "y", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    assert np.frombuffer(answer.content[end:], "<f4").tolist() == [1, 2, 3]


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    assert answer.headers["x-request-id"]
    for word in words:
        assert word in answer.json()["error"]


REFUSED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no inputs": ({}, ("list of inputs",)),
    "no input": ({"inputs": []}, ("list of inputs",)),
    "inputs of another kind": ({"inputs": [7]}, ("list of inputs",)),
    "an unknown key": ({"inputs": [X], "input": 1}, ("id, model_name, model_version, parameters, inputs, outputs",)),
    "an unknown key of an input": ({"inputs": [{**X, "dtype": "FP32"}]}, ("datatype", "dtype")),
    "an id that is a number": ({"inputs": [X], "id": 7}, ("string",)),
    "no name": ({"inputs": [{**X, "name": None}]}, ("name",)),
    "another name": ({"inputs": [{**X, "name": "z"}]}, ("no input 'z'", "x (float32 [N, 3])")),
    "twice": ({"inputs": [X, X]}, ("twice",)),
    "missing": ({"inputs": [X], "parameters": {"signature_name": "both"}}, ("missing: shift",)),
    "another type": ({"inputs": [{**X, "datatype": "FP64"}]}, ("FP32", "FP64")),
    "no type": ({"inputs": [{**X, "datatype": None}]}, ("FP32",)),
    "no shape": ({"inputs": [{**X, "shape": None}]}, ("shape",)),
    "a negative size": ({"inputs": [{**X, "shape": [-1, 3]}]}, ("whole numbers",)),
    "a true size": ({"inputs": [{**X, "shape": [True, 3]}]}, ("whole numbers",)),
    "wrong rank": ({"inputs": [{**X, "shape": [3]}]}, ("1 axes, not 2",)),
    "wrong size": ({"inputs": [{**X, "shape": [1, 2], "data": [1, 2]}]}, ("float32 [N, 3]",)),
    "data of another shape": ({"inputs": [{**X, "shape": [2, 3]}]}, ("[2, 3]", "[3]")),
    "nested another way": ({"inputs": [{**X, "data": [[1], [2], [3]]}]}, ("[1, 3]", "[3, 1]")),
    "ragged": ({"inputs": [{**X, "data": [[1, 2], [3]]}]}, ("ragged",)),
    "text": ({"inputs": [{**X, "data": ["1", "2", "3"]}]}, ("a string",)),
    "too large": ({"inputs": [{**X, "data": [1e39, 2, 3]}]}, ("too large",)),
    "no data": ({"inputs": [{key: X[key] for key in ("name", "shape", "datatype")}]}, ("binary_data_size",)),
    "data twice": ({"inputs": [{**X, "parameters": {"binary_data_size": 12}}]}, ("either",)),
    "data of another kind": ({"inputs": [{**X, "data": 7}]}, ("a list",)),
    "no rows": ({"inputs": [{**X, "shape": [0, 3], "data": []}]}, ("empty",)),
    "an endless shape": ({"inputs": [{**X, "shape": [2**31 - 1] * 3}]}, ("[3]",)),
    "an unknown output": ({"inputs": [X], "outputs": [{"name": "w"}]}, ("no output w", "y")),
    "an output of another kind": ({"inputs": [X], "outputs": ["y"]}, ("object with a name",)),
    "classification": (
        {"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
        ("binary_data",),
    ),
    "shared memory": ({"inputs": [{**X, "parameters": {"shared_memory_region": "a"}}]}, ("binary_data_size",)),
    "a sequence": ({"inputs": [X], "parameters": {"sequence_id": 1}}, ("signature_name", "sequence_id")),
    "a sequence with a name": ({"inputs": [X], "parameters": {"sequence_id": "a"}}, ("sequence_id",)),
    "a long sequence": ({"inputs": [X], "parameters": {"sequence_start": [0.5] * 10_000}}, ("sequence_start",)),
    "shared memory for an output": (
        {"inputs": [X], "outputs": [{"name": "y", "parameters": {"shared_memory_byte_size": 12}}]},
        ("shared_memory_byte_size", "binary_data"),
    ),
    "a signature at an input": ({"inputs": [{**X, "parameters": {"signature_name": "both"}}]}, ("signature_name",)),
    "a model's number": ({"inputs": [X], "model_name": 7}, ("'line'", "a number")),
    "another model": ({"inputs": [X], "model_name": "shade"}, ("'line'", "'shade'")),
    "a long model": ({"inputs": [X], "model_name": [0.5] * 10_000}, ("'line'", "a list")),
    "a version that is a word": ({"inputs": [X], "model_version": "newest"}, ("'newest'", "whole number")),
    "a version that is true": ({"inputs": [X], "model_version": True}, ("True", "whole number")),
    "a version that is a list": ({"inputs": [X], "model_version": [1]}, ("a list", "whole number")),
    "an untrue parameter": ({"inputs": [X], "parameters": {"binary_data_output": 1}}, ("true or false",)),
    "another signature": ({"inputs": [X], "parameters": {"signature_name": "nope"}}, ("no signature 'nope'", "both")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_have_the_form_of_the_api(http: httpx.Client, name: str) -> None:
    request, words = REFUSED[name]
    refused(http.post(INFER, json=request), 400, *words)


@pytest.mark.parametrize("model", [{}, {"model_name": "line"}, {"model_name": None}, {"model_name": ""}])
@pytest.mark.parametrize("version", [{}, *({"model_version": one} for one in ("1", 1, None, ""))])
def test_the_body_may_also_name_the_model(http: httpx.Client, model: dict[str, Any], version: dict[str, Any]) -> None:
    for path in (INFER, "/v2/models/line/versions/1/infer"):
        answer = http.post(path, json={"inputs": [X], **model, **version})
        assert (answer.status_code, answer.json()["model_version"]) == (200, "1"), answer.text


def test_the_body_may_name_the_version(http: httpx.Client) -> None:
    refused(http.post(INFER, json={"inputs": [X], "model_version": "9"}), 404, "no version 9")
    other = http.post("/v2/models/line/versions/1/infer", json={"inputs": [X], "model_version": "2"})
    refused(other, 400, "version 1", "is 2")


IGNORED = {
    "content_type": "np",
    "headers": {"Seldon-Route": "a"},
    "priority": 1,
    "timeout": 5_000_000,
    "triton_enable_empty_final_response": False,
    "of_our_own": [1.5],
    "nothing": None,
}
OFF = {
    "sequence_id": 0,
    "sequence_start": False,
    "sequence_end": False,
    "classification": 0,
    "shared_memory_region": "",
}


@pytest.mark.parametrize("parameters", [IGNORED, OFF, dict.fromkeys([*OFF, "shared_memory_offset"])])
def test_parameters_without_effect_are_ignored(http: httpx.Client, parameters: dict[str, Any]) -> None:
    """Parameters of Triton, MLServer and the caller, in the request, its input and its output."""
    request = {
        "parameters": parameters,
        "inputs": [{**X, "parameters": parameters}],
        "outputs": [{"name": "y", "parameters": parameters}],
    }
    answer = http.post(INFER, json=request)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]


def test_tritons_timeout_priority_and_parameters(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", "FP32", np.ones((1, 3), np.float32))]
    more = {"headers": {"X-Trace": "a"}, "timeout": 5_000_000, "priority": 2, "parameters": {"tenant": "a"}}
    assert client.infer("line", inputs, **more).as_numpy("y").tolist() == [[1, 1, 1]]
    with pytest.raises(InferenceServerException, match="sequence_"):
        client.infer("line", inputs, sequence_id=7, sequence_start=True)
    with pytest.raises(InferenceServerException, match="classification"):
        client.infer("line", inputs, outputs=[triton.InferRequestedOutput("y", class_count=2)])


@pytest.mark.parametrize("name", sorted(tensor_types.DATATYPES.values()))
def test_every_type_round_trips_by_grpc(echo: Gateway, grpc_port: int, name: str) -> None:
    array, model = example(name), f"echo_{name.lower()}"
    width = {"BOOL": "bool", "BYTES": "bytes", "FP32": "fp32", "FP64": "fp64", "INT64": "int64", "UINT64": "uint64"}
    field = f"{width.get(name, 'int' if name.startswith('INT') else 'uint')}_contents"
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        sent = pb.ModelInferRequest(model_name=model)
        x = sent.inputs.add(name="x", datatype=name, shape=array.shape)
        sent.raw_input_contents.append(tensor("x", name, array)._get_binary_data())
        (output,) = (answer := infer(sent)).outputs
        assert (output.name, output.datatype, list(output.shape)) == ("echo_x", name, [2, 2])
        assert list(answer.raw_output_contents) == list(sent.raw_input_contents)
        del sent.raw_input_contents[:]
        if name in ("FP16", "BF16"):
            x.contents.fp32_contents.extend([1, 2, 3, 4])
            with pytest.raises(grpc.RpcError, match=f"datatype '{name}' takes raw_input_contents, not fp32_contents"):
                infer(sent)
            return
        getattr(x.contents, field).extend(array.ravel().tolist())
        answer = infer(sent)
        assert list(getattr(answer.outputs[0].contents, field)) == array.ravel().tolist()
        if name == "INT8":
            x.contents.int_contents[0] = 200
            with pytest.raises(grpc.RpcError, match="input x must hold int8, -128 to 127; a number is outside of it"):
                infer(sent)


def test_mlservers_base64(echo: Gateway) -> None:
    """The only content type that changes how data is read."""
    path = "/v2/models/echo_bytes/infer"
    parameters = {"content_type": "base64"}
    one = {"name": "x", "shape": [1, 2], "datatype": "BYTES", "data": ["c2hvZQ==", "w6Q="], "parameters": parameters}
    assert echo.http.post(path, json={"inputs": [one]}).json()["outputs"][0]["data"] == ["shoe", "ä"]
    refused(echo.http.post(path, json={"inputs": [{**one, "data": ["ä", "w6Q="]}]}), 400, "input x", "base64")
    text = {**one, "data": ["c2hvZQ==", "a"], "parameters": {"content_type": "str"}}
    assert echo.http.post(path, json={"inputs": [text]}).json()["outputs"][0]["data"] == ["c2hvZQ==", "a"]


def binary(http: httpx.Client, raw: bytes, size: Any = 12, header: str | None = None, **more: Any) -> httpx.Response:
    one = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}, **more}
    head = json.dumps({"inputs": [one]}).encode()
    length = str(len(head)) if header is None else header
    return http.post(INFER, content=head + raw, headers={"inference-header-content-length": length})


def test_binary_bodies_with_wrong_sizes(http: httpx.Client) -> None:
    assert binary(http, bytes(12)).status_code == 200
    assert binary(http, bytes(12), data=None).status_code == 200  # as KServe's client does
    refused(binary(http, bytes(11)), 400, "11 bytes are left")
    refused(binary(http, bytes(13)), 400, "1 bytes belong to no input")
    refused(binary(http, bytes(8), size=8), 400, "take 12 bytes")
    refused(binary(http, bytes(12), size=-12), 400, "binary_data_size")
    refused(binary(http, bytes(12), size="12"), 400, "binary_data_size")
    refused(binary(http, bytes(12), header="0"), 400, "Inference-Header-Content-Length")
    refused(binary(http, bytes(12), header="x"), 400, "Inference-Header-Content-Length")
    refused(binary(http, bytes(12), header="99999"), 400, "Inference-Header-Content-Length")
    refused(binary(http, bytes(12), header="9" * 5000), 400, "Inference-Header-Content-Length")
    for tensor in ({"data": []}, {"parameters": {"binary_data_size": 0}}):
        empty = {"name": "x", "datatype": "FP32", "shape": [0, *[2**31 - 1] * 3], **tensor}
        refused(http.post(INFER, json={"inputs": [empty]}), 400, "empty")
    refused(binary(http, bytes(12), header="10"), 400, "not valid JSON")
    refused(binary(http, bytes(12), header=""), 400, "not valid JSON")


@pytest.mark.parametrize("raw", [b"\x05\x00\x00\x00ab", b"\x01\x00", b"\x01\x00\x00\x00a" * 3, b""])
def test_strings_with_wrong_sizes(echo: Gateway, raw: bytes) -> None:
    one = {"name": "x", "shape": [1, 2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [one]}).encode()
    answer = echo.http.post(
        "/v2/models/echo_bytes/infer",
        content=head + raw,
        headers={"inference-header-content-length": str(len(head))},
    )
    refused(answer, 400, "2 strings")


def test_only_strings_are_copied() -> None:
    """Millions of strings would block other requests for seconds."""
    for datatype, uncopied in (("FP32", 12), ("BYTES", 0), ([1], 12)):
        head = json.dumps({"inputs": [{**X, "datatype": datatype}]}).encode()
        inference = request.read(head + bytes(12), str(len(head)), "m", None, reservation())
        assert inference.uncopied_bytes == uncopied
    with pytest.raises(TooLarge, match="250001 strings; at most 250000"):
        tensor_types.from_bytes(memoryview(bytes(4 * 250_001)), np.dtype(object), 250_001, "x")


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v2/models/nobody/infer", "no model 'nobody'"),
        ("/v2/models/line/versions/9/infer", "no version 9"),
        ("/v2/models/line/versions/x/infer", "whole number"),
        ("/v2/models/infer", "/v2/models/MODEL/infer"),
        ("/v2/models/a/b/infer", "/v2/models/MODEL/infer"),
        ("/v2/nothing", "/docs"),
    ],
)
def test_unknown_models_versions_and_paths(http: httpx.Client, path: str, word: str) -> None:
    refused(http.post(path, json={"inputs": [X]}), 404, word)


def test_wrong_methods_and_metadata(http: httpx.Client) -> None:
    refused(http.get(INFER), 405, "POST")
    refused(http.post("/v2"), 405, "GET")
    refused(http.get("/v2/models/nobody"), 404, "nobody")
    refused(http.get("/v2/models/line/versions/9/ready"), 404, "9")
    refused(http.get("/v2/models/line/versions/x"), 400, "version")
    assert http.get("/v2/health/live").json() == {"live": True}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    assert http.get("/v2/models/line/ready").json() == {"name": "line", "ready": True}


def test_bfloat16_is_little_endian() -> None:
    array, data = np.array([1.0, 3.140625], ml_dtypes.bfloat16), b"\x80\x3f\x49\x40"
    assert tensor_types.to_bytes(array) == data
    assert tensor_types.from_bytes(memoryview(data), array.dtype, 2, "x").tolist() == array.tolist()


def test_a_gateway_that_is_not_ready(tmp_path: Path) -> None:
    free = f"127.0.0.1:{free_port()}"
    with programs.gateway(free, tmp_path / "none", "--models=line") as one:
        answer = one.http.get("/v2/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})
        refused(one.http.get("/v2/models/line/ready"), 503, "line")
        refused(one.http.post(INFER, json={"inputs": [X]}), 503, "line")
