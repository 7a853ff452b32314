"""mlserver: requests by its codecs and types, answers read by them. A data frame as a request is left out: it has a
tensor for each column, which no model here takes."""

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


def ask(model: str, request: InferenceRequest) -> InferenceResponse:
    asked = urllib.request.Request(
        f"{checks.GATEWAY}/v2/models/{model}/infer",
        request.model_dump_json().encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return InferenceResponse.model_validate_json(answer.read())


def by_the_input() -> None:
    answer = ask("sine_rnn", InferenceRequest(inputs=[NumpyCodec.encode_input("history", HISTORY)]))
    assert (answer.model_name, answer.model_version) == ("sine_rnn", "1")
    assert checks.is_next(NumpyCodec.decode_output(answer.outputs[0])[0])


def by_the_request() -> None:
    request = NumpyRequestCodec.encode_request(HISTORY)
    assert request.parameters.content_type == "np"
    request.inputs[0].name = "history"  # the codec has one of its own
    answer = ask("sine_rnn", request)
    assert checks.is_next(NumpyRequestCodec.decode_response(answer)[0])
    assert checks.is_next(PandasCodec.decode_response(answer)["prediction"][0])


def everything_that_can_be_said() -> None:
    """With headers, of the request, its input and its output; others of the models' own."""
    parameters = Parameters(content_type="np", headers={"Seldon-Model": "a"}, trial="b")
    tensor = NumpyCodec.encode_input("history", HISTORY)
    tensor.parameters = parameters
    output = RequestOutput(name="prediction", parameters=parameters)
    request = InferenceRequest(id="7", parameters=parameters, inputs=[tensor], outputs=[output])
    assert ask("sine_rnn", request).id == "7"


def a_picture_in_base64() -> None:
    tensor = Base64Codec.encode_input("image_bytes", [checks.PICTURE], use_bytes=False)
    tensor.shape = [1]  # the codec makes it [1, 1]
    request = InferenceRequest(parameters=Parameters(signature_name="serving_bytes"), inputs=[tensor])
    probabilities = NumpyCodec.decode_output(ask("fashion_cnn", request).outputs[0])
    assert probabilities.argmax() == checks.ANKLE_BOOT


def metadata() -> None:
    for path, kind in (("/v2", MetadataServerResponse), ("/v2/models/sine_rnn", MetadataModelResponse)):
        with urllib.request.urlopen(checks.GATEWAY + path, timeout=60) as answer:
            kind.model_validate_json(answer.read())


checks.run(by_the_input, by_the_request, everything_that_can_be_said, a_picture_in_base64, metadata)
