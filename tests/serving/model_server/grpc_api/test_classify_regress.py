"""Classify, Regress and MultiInference over a real socket; the graph of a TensorFlow 1 model parses the examples."""

from typing import Any

import grpc
import numpy as np
import pytest

from serving.tfs_api import messages
from serving.tfs_api.methods import CLASSIFY, MULTI_INFERENCE, REGRESS
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import Server

METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}


@pytest.fixture
def client(foreign_server: Server) -> Client:
    return foreign_server.client


def examples(*values: float, name: str = "x", context: float | None = None) -> messages.Input:
    message = messages.Input()
    listed = message.example_list if context is None else message.example_list_with_context
    for value in values:
        listed.examples.add().features.feature[name].float_list.value.append(value)
    if context is not None:
        listed.context.features.feature["x"].float_list.value.append(context)
    return message


def classify(client: Client, signature: str, given: messages.Input, model: str = "examples") -> Any:
    request = messages.ClassificationRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return client.call(CLASSIFY, request, messages.ClassificationResponse)


def regress(client: Client, signature: str, given: messages.Input, model: str = "examples") -> Any:
    request = messages.RegressionRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return client.call(REGRESS, request, messages.RegressionResponse)


def multi(client: Client, given: messages.Input, *tasks: tuple[str, str], model: str = "examples") -> Any:
    request = messages.MultiInferenceRequest(input=given)
    for method, signature in tasks:
        task = request.tasks.add(method_name=METHODS.get(method, method))
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return client.call(MULTI_INFERENCE, request, messages.MultiInferenceResponse)


def test_classify(client: Client) -> None:
    answer = classify(client, "classify_x_to_y", examples(2, 20))
    assert [[one.score for one in row.classes] for row in answer.result.classifications] == [[3.0], [12.0]]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 123, "classify_x_to_y")


def test_classes_and_scores(client: Client) -> None:
    (row,) = classify(client, "both", examples(2)).result.classifications
    assert [(one.label, one.score) for one in row.classes] == [("3.000000", 4.0)]


def test_regress(client: Client) -> None:
    answer = regress(client, "regress_x_to_y", examples(2, 80))
    assert [one.value for one in answer.result.regressions] == [3.0, 42.0]
    assert answer.model_spec.signature_name == "regress_x_to_y"


def test_a_context_is_part_of_every_example(client: Client) -> None:
    assert regress(client, "regress_x_to_y", examples(7, name="y", context=2)).result.regressions[0].value == 3.0


def test_multi_inference(client: Client) -> None:
    tasks = (("regress", "regress_x_to_y"), ("classify", "classify_x_to_y"))
    first, second = multi(client, examples(2), *tasks).results
    assert first.regression_result.regressions[0].value == 3.0
    assert second.classification_result.classifications[0].classes[0].score == 3.0
    assert [first.model_spec.signature_name, second.model_spec.signature_name] == [name for _, name in tasks]


def test_predict_with_examples(client: Client) -> None:
    """TensorFlow Serving's own tests send [1] and [3] where the signature says [-1, 1]."""
    assert client.predict("examples", x=np.float32([2.0]))["y"].tolist() == [3.0]
    assert client.predict("examples", x=np.float32([[2.0], [4.0]]))["y"].tolist() == [[3.0], [4.0]]


@pytest.mark.parametrize(
    ("call", "arguments", "code", "message"),
    [
        (classify, ("x", examples(2)), "INVALID_ARGUMENT", "No signature was found with the name: x"),
        (regress, ("x", examples(2)), "INVALID_ARGUMENT", "No signature was found with the name: x"),
        (classify, ("classify_x_to_y", messages.Input()), "INVALID_ARGUMENT", "Input is empty."),
        (regress, ("regress_x_to_y", examples()), "INVALID_ARGUMENT", "Input is empty."),
        (regress, ("", examples(2)), "INVALID_ARGUMENT", "No regression inputs found in SignatureDef: "),
        (classify, ("regress_x_to_y", examples(2)), "INVALID_ARGUMENT", "at least one of "),
        (regress, ("both", examples(2)), "INVALID_ARGUMENT", "Expected one output Tensor."),
        (regress, ("wide", examples(2)), "INVALID_ARGUMENT", "[batch_size] or [batch_size, 1] but got [1,2]"),
        (regress, ("regress_x_to_y", examples(2, name="z")), "INVALID_ARGUMENT", "Feature: x (data type: float) is r"),
        (regress, ("regress_x2_to_y3", examples(2)), "INVALID_ARGUMENT", "float"),
        (regress, ("regress_x_to_y", examples(2), "nosuch"), "NOT_FOUND", "Servable not found for request: Latest(no"),
        (multi, (examples(2),), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (multi, (examples(2), ("regress", "x")), "INVALID_ARGUMENT", "Requested signature not found in model graph: x"),
        (multi, (examples(2), ("y", "both")), "UNIMPLEMENTED", "Unsupported signature method_name: y"),
        (multi, (examples(2), ("regress", "wide"), ("regress", "wide")), "INVALID_ARGUMENT", "Duplicate evaluation of"),
        (
            multi,
            (examples(2), ("regress", "regress_x_to_y"), ("regress", "regress_x2_to_y3")),
            "INVALID_ARGUMENT",
            "float",
        ),
    ],
)
def test_rejected(client: Client, call: Any, arguments: tuple[Any, ...], code: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(client, *arguments)
    assert refused.value.code().name == code
    assert message in refused.value.details()


def test_tasks_for_two_models(client: Client) -> None:
    request = messages.MultiInferenceRequest(input=examples(2))
    for model in ("examples", "half_plus_two"):
        task = request.tasks.add(method_name=METHODS["regress"])
        task.model_spec.name, task.model_spec.signature_name = model, f"regress_{model}"
    request.tasks[0].model_spec.signature_name = "regress_x_to_y"
    with pytest.raises(grpc.RpcError, match="must access the same model name"):
        client.call(MULTI_INFERENCE, request, messages.MultiInferenceResponse)


def test_rest(foreign_server: Server) -> None:
    """The bodies of TensorFlow Serving's own tests."""
    rest, path = foreign_server.rest, "/v1/models/examples"
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}, {"x": [20.0]}]}
    assert rest.ask("POST", f"{path}:classify", body) == {"results": [[["", 3.0]], [["", 12.0]]]}
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}], "context": {"y": "a", "z": {"b64": "YQ=="}}}
    assert rest.ask("POST", f"{path}/versions/123:regress", body) == {"results": [3.0]}
    assert rest.ask("POST", f"{path}:predict", {"instances": [2.0, 3.0, 4.0]}) == {"predictions": [3.0, 3.5, 4.0]}
    assert rest.ask("POST", f"{path}:predict", {"inputs": [2.0, 3.0]}) == {"outputs": [3.0, 3.5]}


@pytest.mark.parametrize(
    "examples",
    [
        [],
        {"x": 1.0},
        [1],
        [{"x": None}],
        [{"x": [[1]]}],
        [{"x": [1.0, 1]}],
        [{"x": 2**63}],
        [{"x": 1e39}],
        [{"x": "a"}],
    ],
)
def test_rest_rejects_examples(foreign_server: Server, examples: object) -> None:
    body = {"signature_name": "regress_x_to_y", "examples": examples}
    assert foreign_server.rest.error("POST", "/v1/models/examples:regress", body)
