"""The hand-written request is, byte order and all, what protobuf reads; answers that are none are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from serving.gateway.backends.tf_serving.predict_codec import RequestEncoder, decode_response
from serving.gateway.errors import BadUpstream
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import to_array, to_proto

SPECS = {
    "image": TensorSpec("image", messages.DT_UINT8, (None, 28, 28, 1)),
    "näme": TensorSpec("näme", messages.DT_FLOAT, (None,)),
    "text": TensorSpec("text", messages.DT_STRING, (None, 2)),
}
ANSWER = Signature("s", SPECS, {"y": TensorSpec("y", messages.DT_FLOAT, (None, 2))})


def parts(rows: int) -> st.SearchStrategy[dict[str, np.ndarray]]:
    return st.fixed_dictionaries(
        {
            "image": stn.arrays(np.uint8, (rows, 28, 28, 1), elements=st.integers(0, 255), fill=st.just(7)),
            "näme": stn.arrays(np.float32, (rows,)),
            "text": stn.arrays(object, (rows, 2), elements=st.binary(max_size=300)),
        }
    )


@given(st.lists(st.integers(1, 3).flatmap(parts), min_size=1, max_size=4))
def test_protobuf_reads_what_was_written(rows: list[dict[str, np.ndarray]]) -> None:
    request = messages.PredictRequest.FromString(RequestEncoder("modèle", 7, ANSWER).encode(rows))
    assert request.model_spec.name == "modèle"
    assert request.model_spec.version.value == 7
    assert request.model_spec.signature_name == "s"
    assert request.inputs.keys() == SPECS.keys()
    for name in SPECS:
        expected = np.concatenate([part[name] for part in rows])
        assert request.inputs[name] == to_proto(expected, as_content=expected.dtype != object)


def test_arrays_of_any_layout_and_rank() -> None:
    free = Signature("s", {"x": TensorSpec("x", messages.DT_FLOAT, None)}, {})
    encoder = RequestEncoder("m", 1, free)
    for array in (np.float32(3).reshape(()), np.arange(6, dtype="f4").reshape(2, 3).T, np.arange(9, dtype="f4")[::2]):
        request = messages.PredictRequest.FromString(encoder.encode([{"x": array}]))
        assert np.array_equal(to_array(request.inputs["x"]), array)


def test_responses_that_lack_an_output_or_cannot_be_read() -> None:
    response = messages.PredictResponse()
    with pytest.raises(BadUpstream, match="lacks output y"):
        decode_response(response, ANSWER)
    response.outputs["y"].CopyFrom(to_proto(np.zeros((1, 2), np.float32)))
    response.outputs["y"].tensor_content = b"123"
    with pytest.raises(BadUpstream, match=r"output y .* cannot be read: the tensor's content has 3 bytes"):
        decode_response(response, ANSWER)


@pytest.mark.parametrize(("value", "clean"), [(1.0, True), (np.nan, False), (np.inf, False)])
def test_whether_an_answer_is_finite_is_seen_once(value: float, clean: bool) -> None:
    response = messages.PredictResponse()
    response.outputs["y"].CopyFrom(to_proto(np.array([[0, value]], np.float32)))
    assert decode_response(response, ANSWER).clean is clean
