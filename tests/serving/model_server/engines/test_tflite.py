"""--prefer_tflite_model: TensorFlow Lite where a version has it, the SavedModel elsewhere."""

import grpc
import numpy as np
import pytest

from serving.tfs_api import messages
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import Server


@pytest.fixture
def client(foreign_server: Server) -> Client:
    return foreign_server.client


def test_predict_at_any_batch_size(client: Client) -> None:
    for x in ([2.0], [2.0, 4.0, 6.0], [8.0], []):
        array = np.float32(x)
        np.testing.assert_array_equal(client.predict("lite", x=array)["y"], array / 2 + 2)


def test_aliases_from_the_metadata(client: Client) -> None:
    assert client.predict("lite_metadata", a=np.float32([2.0]))["b"].tolist() == [3.0]


def test_version_without_a_tflite_model_runs_its_saved_model(client: Client) -> None:
    assert client.predict("half_plus_two", x=np.float32([2.0]))["y"].tolist() == [3.0]


def test_its_signature(client: Client) -> None:
    signatures = messages.SignatureDefMap()
    client.metadata("lite", "signature_def").metadata["signature_def"].Unpack(signatures)
    definition = signatures.signature_def["serving_default"]
    assert definition.method_name == "tensorflow/serving/predict"
    assert [dim.size for dim in definition.inputs["x"].tensor_shape.dim] == [-1]


def test_rejected(client: Client) -> None:
    for given in ({"x": np.array(["a"])}, {"z": np.float32([1])}):
        with pytest.raises(grpc.RpcError) as refused:
            client.predict("lite", **given)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert client.predict("lite", x=np.float32([2.0]))["y"].tolist() == [3.0]
