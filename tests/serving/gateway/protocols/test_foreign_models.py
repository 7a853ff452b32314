"""SavedModels without a model card, written and run by TensorFlow, behind every API that takes tensors."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton

from serving.artifacts import models_config
from serving.artifacts.models_config import ModelConfig
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.protocols.test_bad_input import bomb

NAMES = ("half_plus_two", "old", "examples", "text", "conv", "free", "pictures")


@pytest.fixture(scope="module")
def others(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = tmp_path_factory.mktemp("others")
    config = root / "models.config"
    config.write_text(models_config.render({name: ModelConfig(name, str(foreign / name)) for name in NAMES}))
    with model_server(root, *programs.PROMPT) as address, programs.gateway(address, config) as gateway:
        programs.wait_until_ready(gateway, *NAMES)
        yield gateway


IMAGE = np.ones((2, 8, 8, 1), np.float32)
CASES: dict[str, tuple[str, str, np.ndarray, str, Any]] = {
    "TensorFlow 2": ("half_plus_two", "x", np.array([0, 2, 5], np.float32), "y", [2, 3, 4.5]),
    "TensorFlow 1": ("examples", "x", np.array([[2], [4]], np.float32), "y", [[3], [4]]),
    "a scalar": ("old", "x", np.array(2, np.float32), "y", [2, 4, 6]),
    "strings": ("text", "words", np.array([b"shirt", b"hat"], object), "number", [1, -1]),
    "a convolution": ("conv", "image", IMAGE, "y", np.full((2, 6, 6, 4), 9).tolist()),
    "any rank": ("free", "x", np.ones((1, 2), np.float32), "y", [[3]]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_api_returns_the_outputs_of_the_model(others: Gateway, name: str) -> None:
    model, key, array, output, expected = CASES[name]
    texts = array.dtype == object
    plain = [text.decode() for text in array] if texts else array.tolist()
    columns = others.http.post(f"/v1/models/{model}:predict", json={"inputs": {key: plain}}).json()["outputs"]
    assert (columns[output] if isinstance(columns, dict) else columns) == expected
    if array.ndim:
        rows = others.http.post(f"/v1/models/{model}:predict", json={"instances": plain}).json()["predictions"]
        assert [row[output] if isinstance(row, dict) else row for row in rows] == expected
    with triton.InferenceServerClient(others.url.removeprefix("http://")) as client:
        for binary in (True, False):
            tensor = triton.InferInput(key, list(array.shape), "BYTES" if texts else "FP32")
            tensor.set_data_from_numpy(array, binary_data=binary)
            requested = [triton.InferRequestedOutput(output, binary_data=binary)]
            assert client.infer(model, [tensor], outputs=requested).as_numpy(output).tolist() == expected


def test_classify_and_regress(others: Gateway) -> None:
    def post(verb: str, **document: Any) -> httpx.Response:
        return others.http.post(f"/v1/models/examples:{verb}", json=document)

    two = [{"x": 2.0}, {"x": [20.0]}]
    answer = post("classify", signature_name="classify_x_to_y", examples=two)
    assert (answer.json(), answer.headers["x-model-version"]) == ({"results": [[["", 3.0]], [["", 12.0]]]}, "123")
    assert post("classify", signature_name="both", examples=two[:1]).json() == {"results": [[["3.000000", 4.0]]]}
    context = {"x": 4.0, "word": {"b64": "YQ=="}}
    answer = post("regress", signature_name="regress_x_to_y", examples=[*two, {}], context=context)
    assert answer.json() == {"results": [3.0, 12.0, 4.0]}
    refused = post("regress", signature_name="regress_x_to_y", examples=[{"z": 1.0}])
    assert (refused.status_code, "the model refused the input" in refused.json()["error"]) == (400, True)
    refused = post("regress", signature_name="classify_x_to_y", examples=two)
    assert (refused.status_code, "regress_x_to_y" in refused.json()["error"]) == (400, True)


def test_a_wrong_rank_does_not_reach_the_model(others: Gateway) -> None:
    """A wrong rank crashes TensorFlow Serving."""
    refused = others.http.post("/v1/models/conv:predict", json={"inputs": IMAGE[0].tolist()})
    assert (refused.status_code, "3 axes, not 4" in refused.json()["error"]) == (400, True)


def test_a_picture_bomb_as_a_string_does_not_reach_the_model(others: Gateway) -> None:
    def post(*encoded: bytes) -> httpx.Response:
        rows = [{"b64": base64.b64encode(one).decode()} for one in encoded]
        return others.http.post("/v1/models/pictures:predict", json={"instances": rows})

    for form in ("PNG", "JPEG", "GIF"):
        assert post(picture(side=20, form=form), picture(side=3)).json() == {"predictions": [400, 9]}
    for encoded, words in (
        ([picture(), bomb()], "3600000016 pixels together; at most 25000000"),
        ([picture(0, side=4000)] * 2, "32000000 pixels together"),
        ([picture()[:20]], "cannot be read"),
    ):
        refused = post(*encoded)
        assert (refused.status_code, words in refused.json()["error"]) == (400, True), refused.text
    assert "INVALID_ARGUMENT" not in post(b"BMW").text and "the model refused" in post(b"BMW").json()["error"]
