"""The Open Inference Protocol by Triton's gRPC client, by its stubs, and by bytes."""

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import InferenceServerException

from serving.gateway.errors import GatewayError
from serving.gateway.http.error_responses import STATUS
from serving.gateway.http.paths import GRPC_SERVICE
from serving.gateway.oip_grpc.calls import CODES
from tests.serving.gateway.oip_grpc.conftest import GrpcGateway
from tests.serving.gateway.served_models import NAMES

X = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)


def raw(array: np.ndarray = X, datatype: str = "FP32", name: str = "x") -> triton.InferInput:
    return triton.InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)


def request(
    model: str = "line", shape: tuple[int, ...] = (2, 3), datatype: str = "FP32", **more: object
) -> pb.ModelInferRequest:
    sent = pb.ModelInferRequest(model_name=model, **more)
    sent.inputs.add(name="x", shape=shape, datatype=datatype)
    return sent


def typed(**contents: object) -> pb.ModelInferRequest:
    sent = request()
    for field, values in contents.items():
        getattr(sent.inputs[0].contents, field).extend(values)
    return sent


def test_tritons_client_reads_health_and_metadata(
    served_by_grpc: GrpcGateway, client: triton.InferenceServerClient
) -> None:
    headers = served_by_grpc.anybody
    assert client.is_server_live() and client.is_server_ready()  # without a key, as /v2/health
    assert client.is_model_ready("line", headers=headers) and client.is_model_ready("line", "1", headers)
    assert not client.is_model_ready("line", "7", headers) and not client.is_model_ready("nobody", headers=headers)
    assert client.get_server_metadata(headers).name == "vitrine"
    (x,) = client.get_model_metadata("line", "1", headers).inputs
    assert (x.name, x.datatype, list(x.shape)) == ("x", "FP32", [-1, 3])


def test_tritons_client_reads_config_index_and_statistics(
    served_by_grpc: GrpcGateway, client: triton.InferenceServerClient
) -> None:
    headers = served_by_grpc.anybody
    config = client.get_model_config("shade", "1", headers).config
    assert (config.name, config.max_batch_size, list(config.input[0].dims)) == ("shade", 128, [4, 4, 1])
    assert config.WhichOneof("scheduling_choice") == "dynamic_batching"
    index = {(one.name, one.version): one.state for one in client.get_model_repository_index(headers).models}
    assert index == {(name, "1"): "READY" for name in NAMES}
    pulse = np.zeros((3, 4, 1), np.float32)
    for _ in range(2):
        client.infer("pulse", [raw(pulse, name="signal")], headers=headers)
    with pytest.raises(InferenceServerException):
        client.infer("pulse", [raw()], headers=headers)
    (found,) = client.get_inference_statistics("pulse", "1", headers).model_stats
    assert (found.inference_count, found.execution_count, found.last_inference > 0) == (6, 2, True)
    stats = found.inference_stats
    assert (stats.success.count, stats.fail.count, stats.queue.count, stats.compute_infer.count) == (2, 1, 2, 2)
    assert stats.success.ns > stats.compute_infer.ns > 0
    assert [(one.batch_size, one.compute_infer.count) for one in found.batch_stats] == [(3, 2)]
    assert {one.name for one in client.get_inference_statistics(headers=headers).model_stats} == {*NAMES}


def test_tritons_client_infers(served_by_grpc: GrpcGateway, client: triton.InferenceServerClient) -> None:
    headers = served_by_grpc.anybody
    for version in ("", "1"):
        for algorithm in (None, "gzip"):
            answer = client.infer(
                "line", [raw()], version, request_id="7", headers=headers, compression_algorithm=algorithm
            )
            np.testing.assert_array_equal(answer.as_numpy("y"), X)
            response = answer.get_response()
            assert (response.model_name, response.model_version, response.id) == ("line", "1", "7")
    inputs = [raw(X[:1]), raw(np.array([[2]], np.int32), "INT32", "shift")]
    outputs = [triton.InferRequestedOutput("z")]
    answer = client.infer("line", inputs, outputs=outputs, headers=headers, parameters={"signature_name": "both"})
    assert answer.as_numpy("z").tolist() == [[3, 4, 5]]


async def test_tritons_asynchronous_client(served_by_grpc: GrpcGateway) -> None:
    import tritonclient.grpc.aio as aio

    async with aio.InferenceServerClient(served_by_grpc.address) as client:
        answer = await client.infer("line", [raw()], headers=served_by_grpc.anybody, client_timeout=30)
        assert answer.as_numpy("y").tolist() == X.tolist()


def test_contents_are_answered_in_the_form_of_the_request(
    served_by_grpc: GrpcGateway, rpcs: GRPCInferenceServiceStub
) -> None:
    metadata = tuple(served_by_grpc.anybody.items())
    answer = rpcs.ModelInfer(typed(fp32_contents=X.ravel()), metadata=metadata)
    assert list(answer.outputs[0].contents.fp32_contents) == X.ravel().tolist()
    assert not answer.raw_output_contents
    answer = rpcs.ModelInfer(request(raw_input_contents=[X.tobytes()]), metadata=metadata)
    assert list(answer.raw_output_contents) == [X.tobytes()]
    assert not answer.outputs[0].HasField("contents")
    sent = request(raw_input_contents=[X.tobytes()])
    sent.parameters["binary_data_output"].bool_param = False
    assert rpcs.ModelInfer(sent, metadata=metadata).outputs[0].contents.fp32_contents[5] == 6.5


def test_metadata_of_a_call(served_by_grpc: GrpcGateway, rpcs: GRPCInferenceServiceStub) -> None:
    metadata = (
        *served_by_grpc.anybody.items(),
        ("x-request-id", "mine"),
        ("content-length", "5"),
        ("accept-encoding", "br"),
    )
    _, call = rpcs.ModelInfer.with_call(typed(fp32_contents=X.ravel()), metadata=metadata)
    assert {("x-request-id", "mine"), ("x-model-version", "1")} <= set(call.trailing_metadata())
    served_by_grpc.gateway.program.wait_for('"request_id":"mine"')
    with pytest.raises(grpc.RpcError) as raised:
        rpcs.ModelInfer(request("nobody"), metadata=metadata)
    assert ("x-request-id", "mine") in set(raised.value.trailing_metadata())


def test_keys(served_by_grpc: GrpcGateway, rpcs: GRPCInferenceServiceStub) -> None:
    line_only = tuple(served_by_grpc.line_only.items())
    unauthenticated = (
        grpc.StatusCode.UNAUTHENTICATED,
        "a key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY",
    )
    denied = grpc.StatusCode.PERMISSION_DENIED, "is for line"
    for call, sent in (
        (rpcs.ModelInfer, request("shade")),
        (rpcs.ModelMetadata, pb.ModelMetadataRequest(name="shade")),
        (rpcs.ModelConfig, pb.ModelConfigRequest(name="shade")),
        (rpcs.ModelReady, pb.ModelReadyRequest(name="shade")),
        (rpcs.ModelStatistics, pb.ModelStatisticsRequest(name="shade")),
    ):
        for metadata, (code, words) in (((), unauthenticated), (line_only, denied)):
            with pytest.raises(grpc.RpcError) as raised:
                call(sent, metadata=metadata)
            assert raised.value.code() == code
            assert words in raised.value.details()
    with pytest.raises(grpc.RpcError, match="a key is needed"):
        rpcs.RepositoryIndex(pb.RepositoryIndexRequest())
    index = rpcs.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), metadata=line_only)
    assert [one.name for one in index.models] == ["line"]
    statistics = rpcs.ModelStatistics(pb.ModelStatisticsRequest(), metadata=line_only)
    assert {one.name for one in statistics.model_stats} == {"line"}
    assert rpcs.ModelInfer(typed(fp32_contents=X.ravel()), metadata=line_only).model_name == "line"


def shared_memory() -> pb.ModelInferRequest:
    sent = request()
    sent.inputs[0].parameters["shared_memory_region"].string_param = "region"
    return sent


def with_signature(name: str) -> pb.ModelInferRequest:
    sent = typed(fp32_contents=X.ravel())
    sent.parameters["signature_name"].string_param = name
    return sent


def twice() -> pb.ModelInferRequest:
    sent = request(raw_input_contents=[X.tobytes()])
    sent.inputs[0].contents.fp32_contents.append(1)
    return sent


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        (request("nobody"), "NOT_FOUND", "there is no model 'nobody'; there is broken, line"),
        (request(model_version="7"), "NOT_FOUND", "model line has no version 7; available: 1"),
        (request(model_version="new"), "INVALID_ARGUMENT", "model_version in the body is 'new'"),
        (pb.ModelInferRequest(model_name="line"), "INVALID_ARGUMENT", "a request has a list of inputs"),
        (request(), "INVALID_ARGUMENT", "input x has shape [2, 3], but its data has [0]"),
        (typed(fp32_contents=[1, 2]), "INVALID_ARGUMENT", "input x has shape [2, 3], but its data has [2]"),
        (typed(int_contents=[1] * 6), "INVALID_ARGUMENT", "'FP32' takes fp32_contents, not int_contents"),
        (request(datatype="INT8"), "INVALID_ARGUMENT", "so its datatype is FP32, not 'INT8'"),
        (request(shape=(2, -3)), "INVALID_ARGUMENT", "is a list of whole numbers"),
        (request(shape=(3, 2), raw_input_contents=[X.tobytes()]), "INVALID_ARGUMENT", "but it has shape [3, 2]"),
        (request(raw_input_contents=[b"1"]), "INVALID_ARGUMENT", "take 24 bytes, but its binary data has 1"),
        (request(raw_input_contents=[b"", b""]), "INVALID_ARGUMENT", "2 raw_input_contents for 1 inputs"),
        (twice(), "INVALID_ARGUMENT", "fp32_contents and raw_input_contents; send one of them"),
        (shared_memory(), "INVALID_ARGUMENT", "parameter shared_memory_region of input x is not supported"),
        (with_signature("other"), "INVALID_ARGUMENT", "has no signature 'other'; it has"),
        (request(raw_input_contents=[bytes(100_001)]), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_bad_input(
    served_by_grpc: GrpcGateway, rpcs: GRPCInferenceServiceStub, sent: pb.ModelInferRequest, code: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        rpcs.ModelInfer(sent, metadata=tuple(served_by_grpc.anybody.items()))
    assert (raised.value.code().name, words in raised.value.details()) == (code, True), raised.value.details()


@pytest.mark.parametrize(
    ("rpc", "sent", "code", "words"),
    [
        ("ModelInfer", b"\xff\xff\xff", "INVALID_ARGUMENT", "not a message of type inference.ModelInferRequest"),
        ("ModelInfer", b"\x0a\xff\x01", "INVALID_ARGUMENT", "not a message of type inference.ModelInferRequest"),
        ("ModelInfer", b"\x2a\x00" * 5000, "RESOURCE_EXHAUSTED", "more than 4096 inputs, outputs and parameters"),
        ("ModelConfig", b"\xff", "INVALID_ARGUMENT", "not a message of type inference.ModelConfigRequest"),
        ("ModelConfig", b"\x0a\x00" * 5000, "RESOURCE_EXHAUSTED", "more than 4096 bytes"),
        ("ModelConfig", b"\x0a\x04line\x12\x01x", "NOT_FOUND", "a version is a whole number below 2**63, not 'x'"),
        ("RepositoryModelLoad", b"", "UNIMPLEMENTED", "not by request; publish a version"),
        ("RepositoryModelUnload", b"", "UNIMPLEMENTED", "not by request; publish a version"),
        ("TraceSetting", b"", "UNIMPLEMENTED", "Method not found"),
    ],
)
def test_bad_bytes(
    served_by_grpc: GrpcGateway, channel: grpc.Channel, rpc: str, sent: bytes, code: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(f"{GRPC_SERVICE}{rpc}")(sent, metadata=tuple(served_by_grpc.anybody.items()))
    assert (raised.value.code().name, words in raised.value.details()) == (code, True), raised.value.details()


def test_calls_are_counted(served_by_grpc: GrpcGateway, rpcs: GRPCInferenceServiceStub) -> None:
    http, counted = (
        served_by_grpc.gateway.http,
        'vitrine_requests_total{code="200",model="line",verb="infer",version="1"}',
    )

    def count() -> float:
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(counted))

    before = count()
    rpcs.ModelInfer(typed(fp32_contents=X.ravel()), metadata=tuple(served_by_grpc.anybody.items()))
    assert count() == before + 1


def test_every_error_has_a_code() -> None:
    internal = {500, 502}
    assert {*STATUS.values()} - internal == CODES.keys()
    assert GatewayError in STATUS
