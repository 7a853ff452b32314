"""tritonclient[grpc,http]: metadata, index and statistics, time-outs, priorities, compression and parameters."""

import checks
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(checks.GATEWAY.removeprefix("http://"), concurrency=8)
by_grpc = triton_grpc.InferenceServerClient(checks.GATEWAY_GRPC)
MODEL = "fashion_cnn"


def image(rows: int = 2, binary: bool = True) -> list[triton.InferInput]:
    array = np.zeros((rows, 28, 28, 1), np.uint8)
    return [triton.InferInput("image", list(array.shape), "UINT8").set_data_from_numpy(array, binary_data=binary)]


def health_and_metadata() -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL, "1")
    assert client.get_server_metadata()["name"] == "vitrine"
    assert client.get_model_metadata(MODEL)["inputs"][0]["datatype"] == "UINT8"


def index_config_and_statistics() -> None:
    assert {"name": MODEL, "version": "1", "state": "READY", "reason": ""} in client.get_model_repository_index()
    assert client.get_model_config(MODEL, "1")["input"] == [
        {"name": "image", "data_type": "TYPE_UINT8", "dims": [28, 28, 1]}
    ]
    assert client.infer(MODEL, image()).as_numpy("probabilities").shape == (2, 10)
    for name, version in (("", ""), (MODEL, ""), (MODEL, "1")):
        stats = client.get_inference_statistics(name, version)["model_stats"]
        assert next(one for one in stats if one["name"] == MODEL)["inference_stats"]["success"]["count"] > 0
    with checks.refused(InferenceServerException, "501", "not by request"):
        client.load_model(MODEL)


def inference_by_grpc() -> None:
    assert by_grpc.is_server_live() and by_grpc.is_server_ready() and by_grpc.is_model_ready(MODEL, "1")
    assert by_grpc.get_server_metadata().name == "vitrine"
    assert by_grpc.get_model_metadata(MODEL).inputs[0].datatype == "UINT8"
    assert by_grpc.get_model_config(MODEL).config.max_batch_size == 128
    assert MODEL in {one.name for one in by_grpc.get_model_repository_index().models}
    picture = triton_grpc.InferInput("image_bytes", [1], "BYTES")
    picture.set_data_from_numpy(np.array([checks.PICTURE], object))
    parameters = {"signature_name": "serving_bytes", "tenant": "a", "share": 0.5, "trial": True}
    more = {"parameters": parameters, "timeout": 5_000_000, "priority": 2, "client_timeout": 50}
    answer = by_grpc.infer(MODEL, [picture], request_id="7", compression_algorithm="gzip", **more)
    assert answer.as_numpy("probabilities").argmax() == checks.ANKLE_BOOT
    assert answer.get_response().id == "7"
    assert by_grpc.get_inference_statistics(MODEL).model_stats[0].inference_stats.success.count > 0


def inference() -> None:
    for binary in (True, False):
        for outputs in (None, [triton.InferRequestedOutput("probabilities", binary_data=binary)]):
            answer = client.infer(MODEL, image(binary=binary), "1", outputs=outputs, request_id="7")
            assert answer.as_numpy("probabilities").shape == (2, 10)
            assert answer.get_response()["id"] == "7"


def parameters() -> None:
    more = {"timeout": 5_000_000, "priority": 2, "parameters": {"tenant": "a", "share": 0.5, "trial": True}}
    headers = {"X-Request-Timeout": "50s"}
    assert client.infer(MODEL, image(), headers=headers, **more).as_numpy("probabilities").shape == (2, 10)


def a_picture() -> None:
    tensor = triton.InferInput("image_bytes", [1], "BYTES").set_data_from_numpy(np.array([checks.PICTURE], object))
    answer = client.infer(MODEL, [tensor], parameters={"signature_name": "serving_bytes"})
    assert answer.as_numpy("probabilities").argmax() == checks.ANKLE_BOOT


def compression() -> None:
    for name in ("gzip", "deflate"):
        answer = client.infer(MODEL, image(64), request_compression_algorithm=name, response_compression_algorithm=name)
        assert answer.as_numpy("probabilities").shape == (64, 10)


def errors() -> None:
    with checks.refused(InferenceServerException, "sequence_"):
        client.infer(MODEL, image(), sequence_id=7, sequence_start=True)
    with checks.refused(InferenceServerException, "classification"):
        client.infer(MODEL, image(), outputs=[triton.InferRequestedOutput("probabilities", class_count=3)])
    shared = triton.InferInput("image", [1, 28, 28, 1], "UINT8").set_shared_memory("region", 784)
    with checks.refused(InferenceServerException, "shared_memory_"):
        client.infer(MODEL, [shared])


def many() -> None:
    calls = [client.async_infer(MODEL, image(128)) for _ in range(40)]
    assert {one.get_result().as_numpy("probabilities").shape for one in calls} == {(128, 10)}


checks.run(
    health_and_metadata,
    index_config_and_statistics,
    inference_by_grpc,
    inference,
    parameters,
    a_picture,
    compression,
    errors,
    more=(many,),
)
client.close()
by_grpc.close()
