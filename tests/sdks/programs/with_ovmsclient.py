"""ovmsclient: TensorFlow Serving's gRPC and REST interfaces as OpenVINO's client uses them.

By default it requests version 0, which is the default version in OpenVINO's server. TensorFlow Serving and the embedded
server treat it as an ordinary version, so the checks name version 1.
"""

from concurrent.futures import ThreadPoolExecutor

import checks
import numpy as np
import ovmsclient

IMAGE = {"image": np.zeros((2, 28, 28, 1), np.uint8)}
MODEL = "fashion_cnn"
NotFound = ovmsclient.tfs_compat.base.errors.ModelNotFoundError
Invalid = ovmsclient.tfs_compat.base.errors.InvalidInputError

grpc = ovmsclient.make_grpc_client(checks.MODEL_SERVER_GRPC)
rest = ovmsclient.make_http_client(checks.MODEL_SERVER_REST)
gateway = ovmsclient.make_http_client(checks.GATEWAY.removeprefix("http://"))


def predictions() -> None:
    for client in (grpc, rest, gateway):
        probabilities = client.predict(IMAGE, MODEL, 1)
        assert probabilities.shape == (2, 10)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def states() -> None:
    for client in (grpc, rest, gateway):
        assert client.get_model_status(MODEL, 1) == {1: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


def metadata() -> None:
    known = grpc.get_model_metadata(MODEL, 1)
    assert known["inputs"] == {"image": {"shape": [-1, 28, 28, 1], "dtype": "DT_UINT8"}}
    assert known["outputs"] == {"probabilities": {"shape": [-1, 10], "dtype": "DT_FLOAT"}}
    for client in (rest, gateway):
        assert client.get_model_metadata(MODEL, 1)["model_spec"]["name"] == MODEL


def errors() -> None:
    for client in (grpc, rest, gateway):
        with checks.refused(NotFound, "nobody"):
            client.get_model_status("nobody", 1)
        with checks.refused(Invalid):
            client.predict({"image": np.zeros((2, 28, 28, 1), np.float32)}, MODEL, 1)


def many() -> None:
    with ThreadPoolExecutor(8) as pool:
        shapes = pool.map(lambda _: grpc.predict(IMAGE, MODEL, 1).shape, range(200))
        assert set(shapes) == {(2, 10)}


checks.run(predictions, states, metadata, errors, more=(many,))
