"""The RPCs over a real socket: responses, status codes and messages."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.tfs_api import messages, methods
from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import configure, serving

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of ``line`` versions 3, 5, 8 (y = x + version) with labels, and of ``other`` version 1."""
    root = tmp_path_factory.mktemp("models")
    for number in (3, 5, 8):
        versions.write(root / "line" / str(number), offset=number)
    versions.write(root / "other" / "1", slope=-1)
    config = configure(
        root,
        [
            ModelConfig("line", "/models/line", latest=None, labels={"stable": 5, "canary": 8}),
            ModelConfig("other", "/models/other"),
        ],
    )
    flags = [f"--model_config_file={config}", f"--mount=/models={root}"]
    with serving(*flags, "--allow_version_labels_for_unavailable_models") as server:
        yield server.client


def test_the_newest_version_a_number_or_a_label(client: Client) -> None:
    def offset(**which: object) -> int:
        return int(client.predict("line", x=np.zeros((1, 3), np.float32), **which)["y"][0, 0])

    assert offset() == 8
    assert [offset(version=number) for number in (3, 5, 8)] == [3, 5, 8]
    assert [offset(label=label) for label in ("stable", "canary")] == [5, 8]


def test_response_names_version_and_signature(client: Client) -> None:
    request = versions.predict_request("line", x=X)
    request.model_spec.version_label = "stable"
    spec = client.send(request).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("line", 5, "serving_default")


def test_several_signatures_and_an_output_filter(client: Client) -> None:
    shift = np.array([[10], [20]], np.int32)
    both = client.predict("other", "both", x=X, shift=shift)
    np.testing.assert_array_equal(both["y"], -X)
    np.testing.assert_array_equal(both["z"], -X + shift)
    assert client.predict("other", "both", outputs=("z",), x=X, shift=shift).keys() == {"z"}
    assert b'"model": "line"' in client.predict("other", "describe", query=np.array([""]))["card"][0]


def test_values_are_in_typed_fields_by_default(client: Client) -> None:
    answer = client.send(versions.predict_request("line", x=X)).outputs["y"]
    assert answer.float_val
    assert not answer.tensor_content


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (messages.PredictRequest(), grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"),
        (versions.predict_request("", x=X), grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (
            versions.predict_request("foo", x=X),
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Latest(foo)",
        ),
        (
            versions.predict_request("line", "nosig", x=X),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nosig" not found.',
        ),
        (
            versions.predict_request("line", x=X.astype(np.uint8)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Expects arg[0] to be float but uint8 is provided",
        ),
        (
            versions.predict_request("line", x=X[0]),
            grpc.StatusCode.INVALID_ARGUMENT,
            "input x must have shape [?, 3] but has shape [3]",
        ),
        (
            versions.predict_request("line", "x" * 5000, x=X),
            grpc.StatusCode.FAILED_PRECONDITION,
            ('Serving signature key "' + "x" * 1024)[:1024] + "...TRUNCATED",
        ),
    ],
)
def test_predict_rejects(
    client: Client, request_: messages.PredictRequest, code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.send(request_)
    assert (raised.value.code(), raised.value.details()) == (code, message)


@pytest.mark.parametrize(
    ("which", "code", "message"),
    [
        ({"version": 50}, grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(line, 50)"),
        ({"version": 0}, grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(line, 0)"),
        ({"label": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: x"),
    ],
)
def test_no_such_version_or_label(
    client: Client, which: dict[str, object], code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.predict("line", x=X, **which)
    assert (raised.value.code(), raised.value.details()) == (code, message)


def test_status(client: Client) -> None:
    assert client.states("line") == {8: "AVAILABLE", 5: "AVAILABLE", 3: "AVAILABLE"}
    assert [status.version for status in client.status("line")] == [8, 5, 3]
    (status,) = client.status("line", 5)
    assert (status.version, status.status.error_code, status.status.error_message) == (5, 0, "")


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [
        ("zz", None, "Could not find any versions of model zz"),
        ("", None, "Could not find any versions of model "),
        ("line", 4, "Could not find version 4 of model line"),
        ("zz", 1, "Could not find version 1 of model zz"),
    ],
)
def test_status_of_unknown_models_and_versions(client: Client, model: str, version: int | None, message: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.status(model, version)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, message)


def test_metadata(client: Client) -> None:
    answer = client.metadata("line", "signature_def")
    assert (answer.model_spec.name, answer.model_spec.version.value, answer.model_spec.signature_name) == (
        "line",
        8,
        "",
    )
    signatures = messages.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    definition = signatures.signature_def["serving_default"]
    assert [dim.size for dim in definition.inputs["x"].tensor_shape.dim] == [-1, 3]
    assert definition.method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("model", "fields", "code", "message"),
    [
        ("line", (), "INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field"),
        ("line", ("signature_def", "X"), "INVALID_ARGUMENT", "Metadata field X is not supported"),
        ("zz", ("signature_def",), "NOT_FOUND", "Servable not found for request: Latest(zz)"),
        ("", ("signature_def",), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ],
)
def test_metadata_rejects(client: Client, model: str, fields: tuple[str, ...], code: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.metadata(model, *fields)
    assert (raised.value.code().name, raised.value.details()) == (code, message)


@pytest.mark.parametrize(
    ("path", "request_", "response"),
    [
        (
            methods.GET_MODEL_STATUS,
            messages.GetModelStatusRequest(),
            messages.GetModelStatusResponse,
        ),
        (
            methods.GET_MODEL_METADATA,
            messages.GetModelMetadataRequest(),
            messages.GetModelMetadataResponse,
        ),
    ],
)
def test_no_model_spec(client: Client, path: str, request_: object, response: type) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.call(path, request_, response)
    assert raised.value.details() == "Missing ModelSpec"


def test_an_rpc_that_is_not_served(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.call("/tensorflow.serving.PredictionService/Guess", messages.PredictRequest(), messages.PredictResponse)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_invalid_messages_are_internal_errors(client: Client) -> None:
    raw = client.channel.unary_unary(methods.PREDICT)
    good = versions.predict_request("line", x=X).SerializeToString()
    with pytest.raises(grpc.RpcError) as raised:
        raw(b"\xff" * 100, timeout=30)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    with pytest.raises(grpc.RpcError):
        raw(good[:-7], timeout=30)
    assert raw(good + b"\xfa\x3e\x01x", timeout=30), "an unknown field is passed over"


def test_a_message_of_a_hundred_megabytes(client: Client) -> None:
    x = np.ones((9_000_000, 3), np.float32)
    with pytest.raises(grpc.RpcError, match="must have shape"):
        client.predict("line", x=x[np.newaxis])
    assert client.predict("line", "describe", query=np.array([b"?" * 100_000_000], object))["card"].shape == (1,)


def test_no_rows(client: Client) -> None:
    assert client.predict("line", x=np.zeros((0, 3), np.float32))["y"].shape == (0, 3)


def test_signature_that_needs_tensorflow_fails_alone(client: Client) -> None:
    """saved_model.pb of this model holds no graph: TensorFlow refuses it, and the rest goes on."""
    with pytest.raises(grpc.RpcError):
        client.predict("other", "slow", text=np.array(["a"]))
    assert client.predict("other", x=X)["y"].shape == (2, 3)


def test_concurrent_callers_get_their_own_responses(client: Client) -> None:
    def ask(number: int) -> bool:
        x = np.full((1 + number % 5, 3), number, np.float32)
        version = (3, 5, 8)[number % 3]
        y = client.predict("line", version=version, x=x)["y"]
        return y.shape == x.shape and bool(np.all(y == number + version))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(1000)))
