"""CONTRACT D.3 and D.5 over gRPC: every RPC, and the code and message of every error."""

import re
import socket
import struct
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
from google.protobuf import text_format

from serving.tfs_api import messages, tensors
from tests.conformance.server import LARGEST, MESSAGES, Server, error, fits


def tensor(alias: str, kind: str, shape: str, values: str) -> str:
    """One entry of a PredictRequest's inputs."""
    dims = " ".join(f"dim {{ size: {size} }}" for size in shape.split())
    return f'inputs {{ key: "{alias}" value {{ dtype: {kind} tensor_shape {{ {dims} }} {values} }} }} '


def spec(model: str = "half_plus_two", more: str = "") -> str:
    return f'model_spec {{ name: "{model}" {more} }} '


def signature(name: str) -> str:
    return spec(more=f'signature_name: "{name}"')


def examples(*values: float) -> str:
    listed = (
        f'examples {{ features {{ feature {{ key: "x" value {{ float_list {{ value: {value} }} }} }} }} }}'
        for value in values
    )
    return f"input {{ example_list {{ {' '.join(listed)} }} }} "


def task(name: str, method: str, model: str = "half_plus_two") -> str:
    spec = f'model_spec {{ name: "{model}" signature_name: "{name}" }}'
    return f'tasks {{ {spec} method_name: "tensorflow/serving/{method}" }} '


X = tensor("x", "DT_FLOAT", "2", "float_val: [1, 5]")
A = tensor("a", "DT_FLOAT", "1", "float_val: 4")
B = tensor("b", "DT_FLOAT", "1", "float_val: 10")
STABLE = 'version_label: "stable"'


def values(response: Any, alias: str) -> list[Any]:
    return np.asarray(tensors.to_array(response.outputs[alias])).tolist()


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        pytest.param("", 2, [3.5, 5.5], id="D.3 No version: the latest available"),
        pytest.param("version { value: 1 }", 1, [2.5, 4.5], id="D.3 A version"),
        pytest.param(STABLE, 1, [2.5, 4.5], id="D.3 A label"),
        pytest.param('version_label: "canary"', 2, [3.5, 5.5], id="D.3 Another label"),
    ],
)
def test_predict_names_its_version(server: Server, model: str, version: int, expected: list[float]) -> None:
    response = server.call("Predict", spec(more=model) + X)
    assert values(response, "y") == expected
    assert response.outputs["y"].float_val == expected, "D.8 in float_val, not in tensor_content"
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.version.value == version
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        pytest.param("", {"sum", "difference"}, id="D.3 Predict: all outputs"),
        pytest.param('output_filter: "sum"', {"sum"}, id="D.3 Predict: output_filter"),
    ],
)
def test_predict_returns_the_requested_outputs(server: Server, requested: str, expected: set[str]) -> None:
    response = server.call("Predict", signature("both") + A + B + requested)
    assert set(response.outputs) == expected
    assert values(response, "sum") == [15.0]


def test_strings_and_every_type_round_trip(server: Server) -> None:
    response = server.call(
        "Predict", spec("text") + tensor("words", "DT_STRING", "2", r'string_val: ["a", "\303\251"]')
    )
    assert values(response, "upper") == [b"A", b"\xc3\xa9"]
    request = messages.PredictRequest()
    request.model_spec.name = "types"
    for name in ("float32", "float64", "int32", "int64", "uint8"):
        request.inputs[name].CopyFrom(tensors.to_proto(np.array([1, 2], name)))
    request.inputs["bool"].CopyFrom(tensors.to_proto(np.array([True, False])))
    request.inputs["string"].CopyFrom(tensors.to_proto(np.array([b"a", b""], object)))
    response = server.call("Predict", request)
    assert {len(tensors.to_array(proto)) for proto in response.outputs.values()} == {2}
    assert {alias.removesuffix("_out") for alias in response.outputs} == set(request.inputs)


def test_strings_in_tensor_content_are_read(server: Server) -> None:
    """D.2 --enable_serialization_as_tensor_content: as input with or without the flag; the answer is in string_val."""
    words = tensor("words", "DT_STRING", "3", r'tensor_content: "\001\000\002a\303\251"')
    response = server.call("Predict", spec("text") + words)
    assert list(response.outputs["upper"].string_val) == [b"A", b"", b"\xc3\xa9"]
    assert not response.outputs["upper"].tensor_content


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        pytest.param("2", r"\001a", id="D.5 Broken TensorProto: fewer strings than the shape has"),
        pytest.param("1", r"\002a", id="D.5 Broken TensorProto: fewer bytes than the length says"),
        pytest.param("1", r"\001ab", id="D.5 Broken TensorProto: bytes left over"),
        pytest.param("1", r"\200", id="D.5 Broken TensorProto: a length that breaks off"),
        pytest.param("1", r"\377\377\377\377\377\377\001", id="D.5 Broken TensorProto: a length of too many bytes"),
    ],
)
def test_broken_strings_in_tensor_content(server: Server, shape: str, content: str) -> None:
    found = error(server, "Predict", spec("text") + tensor("words", "DT_STRING", shape, f'tensor_content: "{content}"'))
    assert found == ("INVALID_ARGUMENT", "tensor parsing error: words")


MORE = ["int8", "int16", "uint16", "uint32", "uint64", "float16", "complex64", "complex128", ml_dtypes.bfloat16]


def test_types_that_json_lacks(server: Server) -> None:
    request = messages.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "types", "more"
    sent = {np.dtype(kind).name: np.array([1, 2], kind) for kind in MORE}
    for name, array in sent.items():
        request.inputs[name].CopyFrom(tensors.to_proto(array))
    response = server.call("Predict", request)
    for name, array in sent.items():
        found = tensors.to_array(response.outputs[f"{name}_out"])
        assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())


def test_classify(server: Server) -> None:
    response = server.call("Classify", signature("classify") + examples(2, 4))
    found = [[(entry.label, entry.score) for entry in row.classes] for row in response.result.classifications]
    assert found == [[("low", -4.0), ("high", 4.0)], [("low", -5.0), ("high", 5.0)]]
    assert (response.model_spec.name, response.model_spec.signature_name) == ("half_plus_two", "classify")
    assert response.model_spec.version.value == 2


def test_regress_and_examples_with_context(server: Server) -> None:
    response = server.call("Regress", signature("regress") + examples(2, 4))
    assert [row.value for row in response.result.regressions] == [4.0, 5.0]
    context = 'features { feature { key: "x" value { float_list { value: 8 } } } }'
    together = f"input {{ example_list_with_context {{ context {{ {context} }} examples {{ }} }} }}"
    response = server.call("Regress", signature("regress") + together)
    assert [row.value for row in response.result.regressions] == [7.0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param("old", 3.0, id="D.8 testMultiInference"),
        pytest.param("half_plus_two", 4.0, id="D.8 testMultiInferenceTf2"),  # whose signatures share no input tensor
    ],
)
def test_multi_inference(server: Server, model: str, expected: float) -> None:
    tasks = task("regress", "regress", model) + task("classify", "classify", model)
    response = server.call("MultiInference", tasks + examples(2))
    first, second = response.results
    assert [row.value for row in first.regression_result.regressions] == [expected]
    assert second.classification_result.classifications[0].classes[1].label == "high"
    assert [result.model_spec.signature_name for result in response.results] == ["regress", "classify"]


def test_metadata(server: Server) -> None:
    response = server.call("GetModelMetadata", spec(more=STABLE) + 'metadata_field: "signature_def"')
    assert (response.model_spec.name, response.model_spec.version.value) == ("half_plus_two", 1)
    definitions = messages.SignatureDefMap()
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert packed.Unpack(definitions)
    assert {"serving_default", "both", "regress", "classify"} <= set(definitions.signature_def)
    assert definitions.signature_def["serving_default"].method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("", {1: "AVAILABLE", 2: "AVAILABLE"}, id="D.3 GetModelStatus: all versions"),
        pytest.param("version { value: 2 }", {2: "AVAILABLE"}, id="D.3 GetModelStatus: one version"),
        pytest.param('version_label: "x"', {1: "AVAILABLE", 2: "AVAILABLE"}, id="D.3 GetModelStatus ignores labels"),
    ],
)
def test_status(server: Server, more: str, expected: dict[int, str]) -> None:
    response = server.call("GetModelStatus", spec(more=more))
    names = type(response.model_version_status[0]).State.Name
    found = [(entry.version, names(entry.state)) for entry in response.model_version_status]
    assert found == sorted(expected.items(), reverse=True), "D.12 from the highest version to the lowest"
    assert {(e.status.error_code, e.status.error_message) for e in response.model_version_status} == {(0, "")}


ERRORS = [
    ("D.5 No model_spec", "Predict", X, "INVALID_ARGUMENT", "Missing ModelSpec"),
    ("D.5 No model_spec: metadata", "GetModelMetadata", "", "INVALID_ARGUMENT", "Missing ModelSpec"),
    ("D.5 No model_spec: status", "GetModelStatus", "", "INVALID_ARGUMENT", "Missing ModelSpec"),
    ("D.5 Empty name", "Predict", spec("") + X, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    (
        "D.5 Empty name: Classify",
        "Classify",
        spec("") + examples(1),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    ("D.5 Unknown model", "Predict", spec("foo") + X, "NOT_FOUND", "Servable not found for request: Latest(foo)"),
    (
        "D.5 Unknown model: Classify",
        "Classify",
        spec("foo") + examples(1),
        "NOT_FOUND",
        "Servable not found for request: Latest(foo)",
    ),
    (
        "D.5 Unknown model: metadata",
        "GetModelMetadata",
        spec("foo") + 'metadata_field: "signature_def"',
        "NOT_FOUND",
        "Servable not found for request: Latest(foo)",
    ),
    (
        "D.5 Unknown version",
        "Predict",
        spec(more="version { value: 50 }") + X,
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 50)",
    ),
    (
        "D.5 Unknown model: status",
        "GetModelStatus",
        spec("foo"),
        "NOT_FOUND",
        "Could not find any versions of model foo",
    ),
    (
        "D.5 Unknown version: status",
        "GetModelStatus",
        spec(more="version { value: 5 }"),
        "NOT_FOUND",
        "Could not find version 5 of model half_plus_two",
    ),
    (
        "D.5 Unknown label",
        "Predict",
        spec(more='version_label: "x"') + X,
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: x",
    ),
    (
        "D.5 Wrong signature: Predict",
        "Predict",
        signature("nosig") + X,
        "FAILED_PRECONDITION",
        'Serving signature key "nosig" not found.',
    ),
    (
        "D.5 Wrong signature: Classify",
        "Classify",
        signature("nosig") + examples(1),
        "INVALID_ARGUMENT",
        "No signature was found with the name: nosig",
    ),
    (
        "D.5 Wrong signature: Regress",
        "Regress",
        signature("nosig") + examples(1),
        "INVALID_ARGUMENT",
        "No signature was found with the name: nosig",
    ),
    (
        "D.5 Wrong signature: MultiInference",
        "MultiInference",
        task("nosig", "regress") + examples(1),
        "INVALID_ARGUMENT",
        "Requested signature not found in model graph: nosig",
    ),
    (
        "D.3 MultiInference: tasks name several models",
        "MultiInference",
        task("regress", "regress") + task("classify", "classify", "text") + examples(1),
        "INVALID_ARGUMENT",
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    (
        "D.3 MultiInference: signatures must differ",
        "MultiInference",
        task("regress", "regress") * 2 + examples(1),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: regress",
    ),
    (
        "D.12 Classify: a signature of another method",
        "Classify",
        signature("regress") + examples(1),
        "INVALID_ARGUMENT",
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: …',
    ),
    (
        "D.12 Classify: inputs of other names",
        "Classify",
        signature("serving_default") + examples(1),
        "INVALID_ARGUMENT",
        "No classification inputs found in SignatureDef: …",
    ),
    (
        "D.12 Classify: several inputs",
        "Classify",
        signature("both") + examples(1),
        "INVALID_ARGUMENT",
        "Expected one input Tensor.",
    ),
    (
        "D.12 Regress: a signature of another method",
        "Regress",
        signature("classify") + examples(1),
        "INVALID_ARGUMENT",
        "Expected one output Tensor.",
    ),
    (
        "D.12 Regress: inputs of other names",
        "Regress",
        signature("serving_default") + examples(1),
        "INVALID_ARGUMENT",
        "No regression inputs found in SignatureDef: …",
    ),
    (
        "D.12 MultiInference: a signature of another method",
        "MultiInference",
        task("regress", "classify") + examples(1),
        "INVALID_ARGUMENT",
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: …',
    ),
    (
        "D.3 MultiInference: a method that is neither",
        "MultiInference",
        task("regress", "predict") + examples(1),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    (
        "D.5 Input count differs: too many",
        "Predict",
        spec() + X + A,
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({a,x}) != len({x}). Sent extra: {a}. Missing but required: {}.",
    ),
    (
        "D.5 Input count differs: too few",
        "Predict",
        signature("both") + A,
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    (
        "D.5 Same count, wrong name",
        "Predict",
        spec() + A,
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {…}, …",
    ),
    (
        "D.5 Bad output_filter",
        "Predict",
        spec() + X + 'output_filter: "a"',
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: a Outputs expected to be in the set {y}.",
    ),
    (
        "D.5 Bad output_filter: twice",
        "Predict",
        spec() + X + 'output_filter: "y" output_filter: "y"',
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    ),
    (
        "D.5 Broken TensorProto",
        "Predict",
        spec() + tensor("x", "DT_FLOAT", "2", r'tensor_content: "\001\002\003"'),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    (
        "D.5 Wrong dtype",
        "Predict",
        spec() + tensor("x", "DT_STRING", "1", 'string_val: "a"'),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    ),
    (
        "D.5 Wrong shape: what the op says",
        "Predict",
        spec("matrix", 'signature_name: "product"') + tensor("x", "DT_FLOAT", "1 2", "float_val: [1, 2]"),
        "INVALID_ARGUMENT",
        "…Matrix size-incompatible: In[0]: [1,2], In[1]: [3,1]…",
    ),
    (
        "D.5 Metadata field empty",
        "GetModelMetadata",
        spec(),
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    (
        "D.5 Metadata field other",
        "GetModelMetadata",
        spec() + 'metadata_field: "graph"',
        "INVALID_ARGUMENT",
        "Metadata field graph is not supported",
    ),
    ("D.5 Empty Input: Classify", "Classify", signature("classify"), "INVALID_ARGUMENT", "Input is empty."),
    ("D.5 Empty Input: Regress", "Regress", signature("regress") + examples(), "INVALID_ARGUMENT", "Input is empty."),
    (
        "D.5 Empty Input: MultiInference",
        "MultiInference",
        task("regress", "regress"),
        "INVALID_ARGUMENT",
        "Input is empty.",
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "code", "message"), [pytest.param(*row[1:], id=row[0]) for row in ERRORS]
)
def test_error(server: Server, method: str, request_: str, code: str, message: str) -> None:
    found = error(server, method, request_)
    assert (found[0], fits(found[1], message)) == (code, True), found


def test_a_message_that_is_too_large_for_the_client(server: Server) -> None:
    """D.5 Too large message: the client's own limit of 4 MiB, which the server does not share."""
    request = messages.PredictRequest()
    request.model_spec.name = "matrix"
    request.inputs["x"].CopyFrom(tensors.to_proto(np.ones((1100, 1000), np.float32)))
    assert len(server.call("Predict", request).outputs["y"].float_val) == 1_100_000
    with server.channel(options=[]) as channel, pytest.raises(grpc.RpcError) as caught:
        path = "/tensorflow.serving.PredictionService/Predict"
        channel.unary_unary(path)(request.SerializeToString(), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert re.search(r"[Rr]eceived message larger than max \(\d+ vs\. 4194304\)", caught.value.details() or "")


def test_long_messages_are_cut(server: Server) -> None:
    """D.3, D.12 Status text over 1,024 characters: the first 1,024, then ...TRUNCATED."""
    _, message = error(server, "Predict", spec("m" * 2000) + X)
    whole = f"Servable not found for request: Latest({'m' * 2000})"
    assert (len(message), message) == (1036, whole[:1024] + "...TRUNCATED")


@pytest.mark.parametrize("shape", ["8 8 1", "64", "1 8 8"])
def test_a_wrong_rank_does_not_end_the_server(server: Server, shape: str) -> None:
    """D.11 A wrong-rank tensor (the real server needs TF_ENABLE_ONEDNN_OPTS=0 for it)."""
    code, _ = error(server, "Predict", spec("image") + tensor("image", "DT_FLOAT", shape, "float_val: 1"))
    assert code == "INVALID_ARGUMENT"
    assert server.call("GetModelStatus", spec("image")).model_version_status


def test_bytes_that_are_no_request(server: Server) -> None:
    with server.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(b"\xff\xff\xff", timeout=30)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert server.call("GetModelStatus", spec()).model_version_status


def test_a_client_that_pings_too_often(server: Server) -> None:
    """D.12 gRPC pings more often than one in five minutes without data: GOAWAY ENHANCE_YOUR_CALM."""
    host, _, port = server.grpc.rpartition(":")
    ping, goaway, calm = 6, 7, 11

    def frame(kind: int) -> bytes:
        size = 8 if kind == ping else 0
        return struct.pack(">BHBBI", 0, size, kind, 0, 0) + bytes(size)

    with socket.create_connection((host, int(port)), timeout=30) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4) + frame(ping) * 10)
        while head := answers.read(9):
            payload = answers.read(int.from_bytes(head[:3], "big"))
            if head[3] == goaway and int.from_bytes(payload[4:8], "big") == calm:
                assert payload[8:].replace(b"_", b" ").lower() == b"too many pings"
                return
    raise AssertionError("the connection ended without GOAWAY ENHANCE_YOUR_CALM")


def test_the_table_is_well_formed() -> None:
    for _, method, request, _, _ in ERRORS:
        text_format.Parse(request, MESSAGES[method][0]())
    assert dict(LARGEST)["grpc.max_receive_message_length"] == -1
