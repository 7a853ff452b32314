"""mlserver: requests and responses of its codecs and types.

Data frames are not tested: they become one tensor for each column, and no shipped model has such inputs.
"""

import urllib.request

import checks
import numpy as np
from mlserver.codecs import Base64Codec, NumpyCodec, NumpyRequestCodec, PandasCodec
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    Parameters,
    RequestOutput,
)

HISTORY = np.array([checks.HISTORY], np.float32)


def infer(model: str, request: InferenceRequest) -> InferenceResponse:
    http_request = urllib.request.Request(
        f"{checks.GATEWAY}/v2/models/{model}/infer",
        request.model_dump_json().encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(http_request, timeout=60) as answer:
        return InferenceResponse.model_validate_json(answer.read())


def input_codec() -> None:
    answer = infer("sine_rnn", InferenceRequest(inputs=[NumpyCodec.encode_input("history", HISTORY)]))
    assert (answer.model_name, answer.model_version) == ("sine_rnn", "1")
    assert checks.is_next(NumpyCodec.decode_output(answer.outputs[0])[0])


def request_codec() -> None:
    request = NumpyRequestCodec.encode_request(HISTORY)
    assert request.parameters.content_type == "np"
    request.inputs[0].name = "history"  # the codec names it otherwise
    answer = infer("sine_rnn", request)
    assert checks.is_next(NumpyRequestCodec.decode_response(answer)[0])
    assert checks.is_next(PandasCodec.decode_response(answer)["prediction"][0])


def all_parameters() -> None:
    """Parameters of the request, its input and its output: known ones, headers, and unknown ones."""
    parameters = Parameters(content_type="np", headers={"Seldon-Model": "a"}, trial="b")
    tensor = NumpyCodec.encode_input("history", HISTORY)
    tensor.parameters = parameters
    output = RequestOutput(name="prediction", parameters=parameters)
    request = InferenceRequest(id="7", parameters=parameters, inputs=[tensor], outputs=[output])
    assert infer("sine_rnn", request).id == "7"


def base64_picture() -> None:
    tensor = Base64Codec.encode_input("image_bytes", [checks.PICTURE], use_bytes=False)
    tensor.shape = [1]  # the codec makes it [1, 1]
    request = InferenceRequest(parameters=Parameters(signature_name="serving_bytes"), inputs=[tensor])
    probabilities = NumpyCodec.decode_output(infer("fashion_cnn", request).outputs[0])
    assert probabilities.argmax() == checks.ANKLE_BOOT


def metadata() -> None:
    for path, kind in (("/v2", MetadataServerResponse), ("/v2/models/sine_rnn", MetadataModelResponse)):
        with urllib.request.urlopen(checks.GATEWAY + path, timeout=60) as answer:
            kind.model_validate_json(answer.read())


checks.run(input_codec, request_codec, all_parameters, base64_picture, metadata)
