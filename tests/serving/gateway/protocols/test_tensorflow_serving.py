"""TensorFlow Serving's REST API: responses as in its documentation, and requests that must not reach a model."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from tests.serving.gateway import programs, stub
from tests.serving.gateway.conftest import picture

LINE = "/v1/models/line:predict"


def post(http: httpx.Client, path: str, **document: Any) -> Any:
    answer = http.post(path, json=document)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == "1"
    return answer.json()


def test_by_row(http: httpx.Client) -> None:
    assert post(http, LINE, instances=[[1, 2, 3], [4, 5, 6]]) == {"predictions": [[1, 2, 3], [4, 5, 6]]}
    assert post(http, LINE, instances=[{"x": [1, 2, 3.5]}]) == {"predictions": [[1, 2, 3.5]]}


@pytest.mark.parametrize("content_type", ["", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"])
def test_json_without_its_content_type(http: httpx.Client, content_type: str) -> None:
    """The content types by which a browser's fetch, curl -d and Python's requests send a string."""
    answer = http.post(LINE, content=b'{"instances": [[1, 2, 3]]}', headers={"content-type": content_type})
    assert answer.json() == {"predictions": [[1, 2, 3]]}


def test_by_column(http: httpx.Client) -> None:
    assert post(http, LINE, inputs=[[1, 2, 3]]) == {"outputs": [[1, 2, 3]]}
    assert post(http, LINE, inputs={"x": [[1, 2, 3]]}) == {"outputs": [[1, 2, 3]]}


def test_several_inputs_and_outputs(http: httpx.Client) -> None:
    row = post(http, LINE, instances=[{"x": [1, 2, 3], "shift": [1]}], signature_name="both")
    assert row == {"predictions": [{"y": [1, 2, 3], "z": [2, 3, 4]}]}
    column = post(http, LINE, inputs={"x": [[1, 2, 3]], "shift": [[1]]}, signature_name="both")
    assert column == {"outputs": {"y": [[1, 2, 3]], "z": [[2, 3, 4]]}}


def test_floats_keep_a_point_or_exponent(http: httpx.Client) -> None:
    answer = http.post(LINE, json={"instances": [[1, 2, 0.1]]})
    assert answer.text == '{"predictions":[[1.0,2.0,0.1]]}'


def test_strings(http: httpx.Client) -> None:
    answer = post(http, "/v1/models/shade:predict", instances=["card"], signature_name="describe")
    assert '"model":"shade"' in answer["predictions"][0]
    in_lines = base64.encodebytes(b"card" * 30).decode()
    assert in_lines.count("\n") > 2
    for b64 in ("Y2FyZA==", "Y2FyZA", " Y2Fy\r\n ZA= =", in_lines):  # as TensorFlow Serving accepts it
        assert post(http, "/v1/models/shade:predict", inputs=[{"b64": b64}], signature_name="describe")["outputs"]


def test_models_with_a_card(http: httpx.Client) -> None:
    pixels = np.full((1, 4, 4, 1), 250).tolist()
    native = http.post("/v1/models/shade:predict", content=picture(250), params={"polarity": "light_on_dark"}).json()
    expected = list(native["predictions"][0]["probabilities"].values())
    for suffix in ("", "/versions/1", "/labels/stable"):
        assert post(http, f"/v1/models/shade{suffix}:predict", instances=pixels) == {"predictions": [expected]}
    assert post(http, "/v1/models/shade:predict", instances=pixels, signature_name="embed") == {
        "predictions": [[250, 1]]
    }


REFUSED: dict[str, tuple[Any, str]] = {
    "wrong rank": ({"instances": [1, 2]}, "float32 [N, 3]"),
    "rank 1 instead of 2": ({"inputs": [1, 2, 3]}, "1 axes, not 2"),
    "wrong size": ({"instances": [[1, 2]]}, "float32 [N, 3]"),
    "ragged": ({"instances": [[1, 2, 3], [1]]}, "ragged"),
    "deep": ({"instances": [[[1, 2, 3]]]}, "3 axes, not 2"),
    "text": ({"instances": [["1", "2", "3"]]}, "a string"),
    "truth": ({"instances": [[True, False, True]]}, "true or false"),
    "null": ({"instances": [[None, 1, 2]]}, "null"),
    "too large": ({"instances": [[1e300, 1, 2]]}, "too large"),
    "empty": ({"instances": []}, "not empty"),
    "no list": ({"instances": 7}, "list"),
    "empty rows": ({"inputs": [[]]}, "[N, 3]"),
    "unknown input": ({"inputs": {"z": [[1, 2, 3]]}}, "no input 'z'"),
    "unknown input by row": ({"instances": [{"z": [1, 2, 3]}]}, "no input 'z'"),
    "missing input": ({"inputs": {"x": [[1, 2, 3]]}, "signature_name": "both"}, "missing: shift"),
    "unnamed of several": ({"inputs": [[1, 2, 3]], "signature_name": "both"}, "shift, x"),
    "rows differ": (
        {"inputs": {"x": [[1, 2, 3]], "shift": [[1], [2]]}, "signature_name": "both"},
        "the same number of rows",
    ),
    "names differ": (
        {"instances": [{"x": [1, 2, 3]}, {"z": [1, 2, 3]}]},
        "element 1 of 'instances' has other names than element 0: x",
    ),
    "fraction for a whole number": (
        {"inputs": {"x": [[1, 2, 3]], "shift": [[1.5]]}, "signature_name": "both"},
        "whole numbers",
    ),
    "out of range": (
        {"inputs": {"x": [[1, 2, 3]], "shift": [[2**40]]}, "signature_name": "both"},
        "-2147483648 to 2147483647",
    ),
    "both keys": ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, "exactly one"),
    "unknown key": ({"instances": [[1, 2, 3]], "signature": "x"}, "signature"),
    "signature": ({"instances": [[1, 2, 3]], "signature_name": "nope"}, "no signature 'nope'"),
    "signature of another kind": ({"instances": [[1, 2, 3]], "signature_name": 7}, "string"),
    "number for text": ({"inputs": [7], "signature_name": "describe"}, "strings"),
    "a picture for numbers": ({"instances": [{"b64": "aGVsbG8="}]}, 'without "instances"'),
    "bad base64": ({"inputs": [{"b64": "%"}], "signature_name": "describe"}, "base64"),
    "too deep": ({"inputs": json.loads("[" * 20 + "]" * 20)}, "deeper"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_have_the_form_of_the_api(http: httpx.Client, name: str) -> None:
    document, word = REFUSED[name]
    answer = http.post(LINE, json=document)
    assert answer.status_code == 400, answer.text
    assert answer.json().keys() == {"error"}
    assert word in answer.json()["error"]
    assert answer.headers["x-request-id"]


def test_status(http: httpx.Client) -> None:
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for suffix in ("", "/versions/1", "/labels/stable"):
        assert http.get(f"/v1/models/line{suffix}").json() == {"model_version_status": [status]}
    answer = http.get("/v1/models/line/versions/7")
    assert answer.status_code == 404
    assert answer.json()["error"] == "Could not find version 7 of model line"
    assert http.get("/v1/models/nobody").status_code == 404


def test_metadata(http: httpx.Client) -> None:
    for suffix in ("", "/versions/1", "/labels/stable"):
        body = http.get(f"/v1/models/line{suffix}/metadata").json()
        assert body["model_spec"] == {"name": "line", "signature_name": "", "version": "1"}
        inputs = body["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
        assert inputs["x"]["dtype"] == "DT_FLOAT"
        assert [dim["size"] for dim in inputs["x"]["tensor_shape"]["dim"]] == ["-1", "3"]


def test_nan_and_infinity_are_written_as_words(http: httpx.Client) -> None:
    answer = http.post("/v1/models/broken:predict", json={"instances": [[1, 2, 3]]})
    assert answer.text == '{"predictions":[[NaN,NaN,NaN]]}'
    answer = http.post(LINE, content=b'{"instances": [[NaN, -Infinity, 0.1]]}')
    assert answer.text == '{"predictions":[[NaN,-Infinity,0.1]]}'
    for path, body in (("/v1/models/trend:predict", b'{"history": [NaN, 1, 2, 3]}'), (LINE, b'{"x": NaN}')):
        assert "not finite" in http.post(path, content=body).json()["error"]
    refused = http.post("/v1/models/trend:predict", content=b'{"instances": [[NaN, 1, 2, 3]]}')
    assert (refused.status_code, "NaN or infinity" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LINE, b'{"instances": [[NaN, 1, 2]], "\\ud800": 1}'),
        ("/v1/models/line:classify", b'{"examples": [{"x": NaN}], "context": {"\\ud800": 1}}'),
    ],
)
def test_a_lone_surrogate_beside_nan_is_refused(http: httpx.Client, path: str, body: bytes) -> None:
    answer = http.post(path, content=body)
    assert (answer.status_code, "not valid JSON" in answer.json()["error"]) == (400, True)


def test_paths_in_any_case(http: httpx.Client) -> None:
    assert http.post("/V1/Models/line/Versions/1:Predict", json={"instances": [[1, 2, 3]]}).status_code == 200
    assert http.get("/V1/MODELS/line/LABELS/stable/METADATA").json()["model_spec"]["name"] == "line"
    assert http.get("/v1/Models/line/Versions/1").status_code == 200
    assert http.get("/v1/models/LINE").status_code == 404


def test_a_signature_without_examples_does_not_classify(http: httpx.Client) -> None:
    for verb in ("classify", "regress"):
        answer = http.post(f"/v1/models/line:{verb}", json={"examples": [{"x": 1.0}]})
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
        assert f"cannot {verb}: its only input must be 'inputs', but it takes x" in answer.json()["error"]
        for examples in ([], [1], [{"x": [1, 1.5]}], [{"x": None}], 7):
            assert http.post(f"/v1/models/line:{verb}", json={"examples": examples}).status_code == 400
        large = http.post(f"/v1/models/line:{verb}", json={"examples": [{"x": [*range(100_000), 0.5]}]})
        assert (large.status_code, "mixes" in large.json()["error"]) == (400, True), large.text


def test_a_forecast_has_its_horizon_and_the_cards_limit(http: httpx.Client) -> None:
    inputs = {"history": [[1, 2, 3, 4]] * 2, "horizon": [2, 3]}
    answer = http.post("/v1/models/trend:predict", json={"inputs": inputs, "signature_name": "forecast"})
    outputs = answer.json()["outputs"]
    assert outputs["mean"] == [[5, 6, 7]] * 2
    for horizon in ([0, 1], [1, 51], [2**31 - 1] * 2):
        document = {"inputs": {**inputs, "horizon": horizon}, "signature_name": "forecast"}
        answer = http.post("/v1/models/trend:predict", json=document)
        assert answer.status_code == 400
        assert "1 to 50" in answer.json()["error"]


def test_merged_forecasts_keep_their_own_horizons(http: httpx.Client) -> None:
    """A merged call has the longest horizon; each caller gets its own."""

    def by_columns(horizon: int) -> list[Any]:
        inputs = {"history": [[1, 2, 3, horizon]], "horizon": [horizon]}
        return list(post(http, "/v1/models/trend:predict", inputs=inputs, signature_name="forecast")["outputs"]["mean"])

    def by_rows(horizon: int) -> list[Any]:
        row = {"history": [1, 2, 3, horizon], "horizon": horizon}
        answer = post(http, "/v1/models/trend:predict", instances=[row], signature_name="forecast")
        return [answer["predictions"][0]["mean"]]

    def by_open_inference(horizon: int) -> list[Any]:
        inputs = [
            {"name": "history", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, horizon]},
            {"name": "horizon", "shape": [1], "datatype": "INT32", "data": [horizon]},
        ]
        request = {"inputs": inputs, "parameters": {"signature_name": "forecast"}, "outputs": [{"name": "mean"}]}
        (output,) = post(http, "/v2/models/trend/infer", **request)["outputs"]
        return [output["data"]] if output["shape"] == [1, horizon] else [output["shape"]]

    paths = (by_columns, by_rows, by_open_inference)
    expected = [(path, horizon) for horizon in range(1, 41) for path in paths]
    with ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(lambda one: one[0](one[1]), expected))
    for (path, horizon), answer in zip(expected, answers, strict=True):
        assert answer == [[horizon + step for step in range(1, horizon + 1)]], (path, horizon)


def test_a_method_that_the_model_server_lacks(tmp_path: Path) -> None:
    inputs = {"inputs": TensorSpec("inputs", messages.DT_STRING, (None,))}
    signature = Signature("serving_default", inputs, {"classes": TensorSpec("classes", messages.DT_STRING, (None, 1))})
    with (
        stub.serving(stub.Stub({"kinds": {"serving_default": signature}})) as address,
        programs.gateway(address, tmp_path / "none", "--models=kinds") as gateway,
    ):
        programs.wait_until_ready(gateway, "kinds")
        refused = gateway.http.post("/v1/models/kinds:classify", json={"examples": [{"x": 1.0}]})
        assert refused.status_code == 501, refused.text
        assert "the model server does not support this" in refused.json()["error"]


def test_scalars_and_complex_numbers(tmp_path: Path) -> None:
    """A scalar is written like a number in a list; complex numbers are the request's fault."""
    one, turned = TensorSpec("x", messages.DT_FLOAT, ()), TensorSpec("x", messages.DT_COMPLEX64, (None,))
    models = {"one": {"serving_default": stub.echo("serving_default", one)}}
    models["turned"] = {"serving_default": stub.echo("serving_default", turned)}
    with (
        stub.serving(stub.Stub(models)) as address,
        programs.gateway(address, tmp_path / "none", "--models=one,turned") as gateway,
    ):
        programs.wait_until_ready(gateway, "one", "turned")
        answer = gateway.http.post("/v1/models/one:predict", json={"inputs": {"x": 0.1}})
        assert answer.text == '{"outputs":0.1}'
        refused = gateway.http.post("/v1/models/turned:predict", json={"instances": [0.5]})
        assert (refused.status_code, "complex64" in refused.json()["error"]) == (400, True)
