"""Requests that do not fit their signature: the code and message of each error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving.model_server.core.loader import Loader
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.errors import ServingError
from serving.model_server.grpc_api import responses
from serving.model_server.inference import predict, requests
from serving.model_server.inference.inference import PredictOutputs
from serving.tfs_api import messages, tensors
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.versions import predict_request

X = np.arange(6, dtype=np.float32).reshape(2, 3)
SHIFT = np.array([[1], [2]], np.int32)
INVALID, PRECONDITION = Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION


@pytest.fixture(scope="module")
def servable(tmp_path_factory: pytest.TempPathFactory) -> Servable:
    return Loader().load(versions.write(tmp_path_factory.mktemp("line") / "1", slope=2, offset=1))


def prepare(servable: Servable, request: Any) -> SignatureCall:
    inputs = requests.input_arrays(request.inputs)
    return predict.prepare(servable, request.model_spec.signature_name, inputs, request.output_filter)


def broken(change: Callable[[Any], None]) -> Any:
    """Return a valid request with a changed tensor ``x``."""
    request = predict_request("m", x=X)
    change(request.inputs["x"])
    return request


def sized(*sizes: int) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        del proto.tensor_shape.dim[:]
        for size in sizes:
            proto.tensor_shape.dim.add().size = size

    return change


def wanting(*outputs: str) -> Any:
    request = predict_request("m", "both", x=X, shift=SHIFT)
    request.output_filter.extend(outputs)
    return request


REJECTED = {
    "unknown signature": (predict_request("m", "x", x=X), PRECONDITION, 'Serving signature key "x" not found.'),
    "no input": (
        predict_request("m"),
        INVALID,
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    "one too many": (
        predict_request("m", x=X, b=X, a=X),
        INVALID,
        "input size does not match signature: 3!=1 len({a,b,x}) != len({x}). Sent extra: {a,b}. "
        "Missing but required: {}.",
    ),
    "wrong name": (
        predict_request("m", picture=X),
        INVALID,
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {picture}, or default input alias set: ",
    ),
    "wrong type": (
        predict_request("m", x=X.astype(np.float64)),
        INVALID,
        "Expects arg[0] to be float but double is provided",
    ),
    "text for a number": (
        predict_request("m", x=np.array([["a", "b", "c"]])),
        INVALID,
        "Expects arg[0] to be float but string is provided",
    ),
    "wrong type of the second": (
        predict_request("m", "both", x=X.astype(np.int32), shift=SHIFT),
        INVALID,
        "Expects arg[1] to be float but int32 is provided",
    ),
    "wrong rank": (predict_request("m", x=X[0]), INVALID, "input x must have shape [?, 3] but has shape [3]"),
    "wrong size": (predict_request("m", x=X[:, :2]), INVALID, "input x must have shape [?, 3] but has shape [2, 2]"),
    "a scalar": (predict_request("m", x=X[0, 0]), INVALID, "input x must have shape [?, 3] but has shape []"),
    "too little content": (broken(sized(3, 3)), INVALID, "tensor parsing error: x"),
    "too much content": (broken(sized(1, 3)), INVALID, "tensor parsing error: x"),
    "a negative size": (broken(sized(-1, 3)), INVALID, "tensor parsing error: x"),
    "a shape of terabytes": (broken(sized(2**40, 3)), INVALID, "tensor parsing error: x"),
    "a shape that overflows": (broken(sized(2**62, 2**62)), INVALID, "tensor parsing error: x"),
    "no rank": (
        broken(lambda proto: setattr(proto.tensor_shape, "unknown_rank", True)),
        INVALID,
        "tensor parsing error: x",
    ),
    "no type": (broken(lambda proto: setattr(proto, "dtype", 0)), INVALID, "tensor parsing error: x"),
    "a type that is not served": (
        broken(lambda proto: setattr(proto, "dtype", messages.DT_RESOURCE)),
        INVALID,
        "tensor parsing error: x",
    ),
    "a type that does not exist": (
        broken(lambda proto: setattr(proto, "dtype", 999)),
        INVALID,
        "tensor parsing error: x",
    ),
    "unknown output": (
        wanting("y", "nope"),
        INVALID,
        "output tensor alias not found in signature: nope Outputs expected to be in the set {y,z}.",
    ),
    "an output twice": (wanting("y", "y"), INVALID, "duplicate output tensor alias: y"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_rejected(servable: Servable, case: str) -> None:
    request, code, message = REJECTED[case]
    with pytest.raises(ServingError) as raised:
        prepare(servable, request)
    assert (raised.value.code, str(raised.value)) == (code, message)


def test_shape_larger_than_the_message_allocates_nothing(servable: Servable) -> None:
    request = predict_request("m", x=X)
    request.inputs["x"].ClearField("tensor_content")
    request.inputs["x"].float_val.append(1.0)
    sized(2**34, 3)(request.inputs["x"])
    with pytest.raises(ServingError, match="tensor parsing error: x"):
        prepare(servable, request)


@pytest.mark.parametrize("as_content", [True, False])
def test_response_names_version_and_signature(servable: Servable, as_content: bool) -> None:
    call = prepare(servable, wanting())
    outputs = PredictOutputs("m", 7, "both", dict(zip(call.outputs, servable.run(call), strict=True)))
    response = responses.predict_response(outputs, as_content=as_content)
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 7)
    assert response.model_spec.signature_name == "both"
    assert {alias: tensors.to_array(proto).tolist() for alias, proto in response.outputs.items()} == {
        "y": (X * 2 + 1).tolist(),
        "z": (X * 2 + 1 + SHIFT).tolist(),
    }
    assert bool(response.outputs["y"].tensor_content) == as_content
    assert bool(response.outputs["y"].float_val) != as_content


def test_outputs_have_the_requested_order(servable: Servable) -> None:
    assert list(prepare(servable, wanting("z", "y")).outputs) == ["z", "y"]
    assert list(prepare(servable, wanting("z")).outputs) == ["z"]
    assert list(prepare(servable, wanting()).outputs) == ["y", "z"]


def test_the_empty_name_is_serving_default(servable: Servable) -> None:
    assert prepare(servable, predict_request("m", x=X)).signature.name == "serving_default"
