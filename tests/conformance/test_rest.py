"""CONTRACT D.4 and D.5 over REST: every path, the JSON as it is written, the status of every error."""

import gzip
import json
import math
from typing import Any

import pytest

from tests.conformance.server import Server, fits

HALF = "/v1/models/half_plus_two"
EXAMPLES = [{"x": 2.0}, {"x": 4.0}]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(f"{HALF}:predict", [3.5, 5.5], id="D.4 POST /v1/models/M:predict"),
        pytest.param(f"{HALF}/versions/1:predict", [2.5, 4.5], id="D.4 POST /v1/models/M/versions/V:predict"),
        pytest.param(f"{HALF}/labels/stable:predict", [2.5, 4.5], id="D.4 POST /v1/models/M/labels/L:predict"),
        pytest.param("/V1/MODELS/half_plus_two:predict", [3.5, 5.5], id="D.4 Paths in any case"),
    ],
)
def test_predict(server: Server, path: str, expected: list[float]) -> None:
    answer = server.http("POST", path, {"instances": [1.0, 5.0]})
    assert (answer.status, answer.json) == (200, {"predictions": expected})
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        pytest.param("half_plus_two", {"instances": [{"x": 2.0}]}, {"predictions": [4.0]}, id="D.4 Row, named"),
        pytest.param("half_plus_two", {"inputs": [2.0]}, {"outputs": [4.0]}, id="D.4 Columnar, elided"),
        pytest.param("half_plus_two", {"inputs": {"x": [2.0]}}, {"outputs": [4.0]}, id="D.4 Columnar, named"),
        pytest.param(
            "half_plus_two",
            {"signature_name": "both", "instances": [{"a": 4, "b": 10}]},
            {"predictions": [{"difference": -5.0, "sum": 15.0}]},
            id="D.4 Several tensors by row",
        ),
        pytest.param(
            "half_plus_two",
            {"signature_name": "both", "inputs": {"a": [4], "b": [10]}},
            {"outputs": {"difference": [-5.0], "sum": [15.0]}},
            id="D.4 Several tensors by column",
        ),
        pytest.param(
            "text",
            {"instances": ["a", {"b64": "YmM="}]},
            {
                "predictions": [
                    {"same_bytes": {"b64": "YQ=="}, "upper": "A"},
                    {"same_bytes": {"b64": "YmM="}, "upper": "BC"},
                ]
            },
            id="D.4 b64 in, and out by _bytes",
        ),
        pytest.param(
            "types",
            {
                "inputs": {
                    "float32": [1.5],
                    "float64": [2.5],
                    "int32": [3],
                    "int64": [9007199254740993],
                    "uint8": [255],
                    "bool": [True],
                    "string": ["s"],
                }
            },
            {
                "outputs": {
                    "float32_out": [1.5],
                    "float64_out": [2.5],
                    "int32_out": [3],
                    "int64_out": [9007199254740993],
                    "uint8_out": [255],
                    "bool_out": [True],
                    "string_out": ["s"],
                }
            },
            id="D.4 Every type",
        ),
        pytest.param(
            "text",
            {"instances": [{"b64": "Y\nWI"}]},
            {"predictions": [{"same_bytes": {"b64": "YWI="}, "upper": "AB"}]},
            id="D.4 b64 with line breaks and without padding",
        ),
        pytest.param("half_plus_two", {"inputs": []}, {"outputs": []}, id="D.12 inputs: []"),
        pytest.param(
            "half_plus_two",
            {"inputs": {"x": [2.0], "more": [[1], [2]]}},
            {"outputs": [4.0]},
            id="D.12 Extra named inputs by column",
        ),
        pytest.param("sums", {"instances": [[]]}, {"predictions": [0.0]}, id="D.12 A zero-length ragged input"),
        pytest.param(
            "sums", {"signature_name": "total", "inputs": [1.0, 2.0]}, {"outputs": 3.0}, id="D.12 A scalar by column"
        ),
        pytest.param(
            "sums",
            {"signature_name": "apart", "inputs": {"a": [1.0], "b": [2.0, 3.0]}},
            {"outputs": {"a_twice": [2.0], "b_twice": [4.0, 6.0]}},
            id="D.12 Inputs with different numbers of rows",
        ),
    ],
)
def test_bodies(server: Server, model: str, body: Any, expected: Any) -> None:
    answer = server.http("POST", f"/v1/models/{model}:predict", body)
    assert (answer.status, answer.json) == (200, expected)


def test_bare_tokens_and_floats_with_a_point(server: Server) -> None:
    """D.4 NaN, Infinity, -Infinity; Floats always carry .0"""
    answer = server.http("POST", "/v1/models/matrix:predict", b'{"instances": [[1, NaN, Infinity, -Infinity]]}')
    assert answer.status == 200
    assert [token in answer.text for token in ("2.0", "NaN", "Infinity", "-Infinity")] == [True] * 4
    first, second, third, fourth = answer.json["predictions"][0]
    assert (first, third, fourth) == (2.0, math.inf, -math.inf) and math.isnan(second)


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_examples(server: Server, verb: str) -> None:
    """D.4 Classify/Regress: key results."""
    expected = {"regress": [4.0, 5.0], "classify": [[["low", -4.0], ["high", 4.0]], [["low", -5.0], ["high", 5.0]]]}
    for body in ({"examples": EXAMPLES}, {"context": {"x": 2.0}, "examples": [{}]}):
        answer = server.http("POST", f"{HALF}:{verb}", {"signature_name": verb, **body})
        assert (answer.status, list(answer.json)) == (200, ["results"]), answer.text
        assert answer.json["results"] == expected[verb][: len(body["examples"])]


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        pytest.param(HALF, ["2", "1"], id="D.4 GET /v1/models/M"),
        pytest.param(f"{HALF}/versions/1", ["1"], id="D.4 GET /v1/models/M/versions/V"),
    ],
)
def test_status(server: Server, path: str, versions: list[str]) -> None:
    fine = {"error_code": "OK", "error_message": ""}
    listed = [{"version": version, "state": "AVAILABLE", "status": fine} for version in versions]
    answer = server.http("GET", path)
    assert (answer.status, answer.json) == (200, {"model_version_status": listed})
    assert "\n" in answer.text, "pretty-printed"


@pytest.mark.parametrize(
    ("path", "version"),
    [
        pytest.param(f"{HALF}/metadata", "2", id="D.4 GET …/metadata"),
        pytest.param(f"{HALF}/versions/1/metadata", "1", id="D.4 GET …/versions/V/metadata"),
        pytest.param(f"{HALF}/labels/stable/metadata", "1", id="D.4 GET …/labels/L/metadata"),
    ],
)
def test_metadata(server: Server, path: str, version: str) -> None:
    answer = server.http("GET", path)
    assert answer.status == 200
    assert answer.json["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": version}
    definition = answer.json["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert definition["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_x:0",
    }


def test_gzip(server: Server) -> None:
    """D.4 gzip request bodies."""
    body = gzip.compress(json.dumps({"instances": [1.0]}).encode())
    answer = server.http("POST", f"{HALF}:predict", body, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json) == (200, {"predictions": [3.5]})


def test_metrics(server: Server) -> None:
    """D.4 GET path of monitoring config; D.6 monitoring_config_file; D.8 testPrometheusEndpoint."""
    server.http("POST", f"{HALF}:predict", {"instances": [1.0]})
    server.http("POST", "/v1/models/foo:predict", {"instances": [1.0]})
    answer = server.http("GET", "/monitoring/prometheus/metrics")
    assert answer.status == 200
    assert "# TYPE :tensorflow:serving:request_count counter\n" in answer.text
    assert "# HELP" not in answer.text
    labels = 'model_name="half_plus_two",API="predict",entrypoint="REST"'
    for expected in (
        ':tensorflow:serving:request_count{model_name="half_plus_two",status="OK"} ',
        ':tensorflow:serving:request_count{model_name="foo",status="NOT_FOUND"} ',
        f':tensorflow:serving:request_latency_bucket{{{labels},le="10"}} ',
        f':tensorflow:serving:request_latency_bucket{{{labels},le="+Inf"}} ',
        f":tensorflow:serving:request_latency_count{{{labels}}} ",
        ':tensorflow:serving:runtime_latency_sum{model_name="half_plus_two",API="',
        ":tensorflow:cc:saved_model:load_attempt_count{model_path=",
        "# TYPE :tensorflow:serving:request_example_counts histogram\n",
        "# TYPE :tensorflow:serving:request_example_count_total counter\n",
        "# TYPE :tensorflow:serving:request_log_count counter\n",
        "# TYPE :tensorflow:serving:model_warmup_latency histogram\n",
    ):
        assert expected in answer.text, expected


ERRORS = [
    ("D.4 No model name", "GET", "/v1/models", None, 400, "Missing model name in request."),
    ("D.4 Bad path", "GET", "/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
    ("D.4 Bad method", "POST", HALF, {}, 400, f"Malformed request: POST {HALF}"),
    ("D.4 Bad verb", "POST", f"{HALF}:run", {}, 400, f"Malformed request: POST {HALF}:run"),
    ("D.4 MultiInference is not on REST", "POST", f"{HALF}:multiinference", {}, 400, "Malformed request: POST …"),
    (
        "D.5 Unknown model",
        "POST",
        "/v1/models/foo:predict",
        {"instances": [1.0]},
        404,
        "Servable not found for request: Latest(foo)",
    ),
    (
        "D.5 Unknown version",
        "POST",
        f"{HALF}/versions/50:predict",
        {"instances": [1.0]},
        404,
        "Servable not found for request: Specific(half_plus_two, 50)",
    ),
    ("D.5 Unknown model: status", "GET", "/v1/models/foo", None, 404, "Could not find any versions of model foo"),
    (
        "D.5 Unknown version: status",
        "GET",
        f"{HALF}/versions/5",
        None,
        404,
        "Could not find version 5 of model half_plus_two",
    ),
    (
        "D.5 Unknown label",
        "POST",
        f"{HALF}/labels/x:predict",
        {"instances": [1.0]},
        400,
        "Unrecognized servable version label: x",
    ),
    (
        "D.5 Wrong signature: predict",
        "POST",
        f"{HALF}:predict",
        {"signature_name": "nosig", "instances": [1.0]},
        400,
        'Serving signature name: "nosig" not found in signature def',
    ),
    (
        "D.5 Wrong signature: classify",
        "POST",
        f"{HALF}:classify",
        {"signature_name": "nosig", "examples": EXAMPLES},
        400,
        "No signature was found with the name: nosig",
    ),
    (
        "D.5 Wrong key, row",
        "POST",
        f"{HALF}:predict",
        {"signature_name": "both", "instances": [{"a": 1, "c": 2}]},
        400,
        "Failed to process element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
        "named input: c",
    ),
    (
        "D.5 Wrong key, columnar",
        "POST",
        f"{HALF}:predict",
        {"signature_name": "both", "inputs": {"a": [1], "c": [2]}},
        400,
        "Missing named input: b in 'inputs' object.",
    ),
    (
        "D.5 Wrong dtype",
        "POST",
        f"{HALF}:predict",
        {"instances": ["a"]},
        400,
        '…JSON Value: "a" Type: String is not of expected type: float',
    ),
    (
        "D.5 Wrong shape",
        "POST",
        "/v1/models/matrix:predict",
        {"signature_name": "product", "instances": [[1.0, 2.0]]},
        400,
        "…Matrix size-incompatible: In[0]: [1,2], In[1]: [3,1]…",
    ),
    (
        "D.5 Ragged list",
        "POST",
        "/v1/models/matrix:predict",
        {"inputs": [[1.0], [1.0, 2.0]]},
        400,
        "…Encountered list at unexpected size…",
    ),
    ("D.5 Empty body", "POST", f"{HALF}:predict", b"", 400, "JSON Parse error: The document is empty"),
    (
        "D.5 Bad JSON",
        "POST",
        f"{HALF}:predict",
        b"{instances",
        400,
        "JSON Parse error: Missing a name for object member.…",
    ),
    (
        "D.5 Bad JSON: value",
        "POST",
        f"{HALF}:predict",
        b'{"instances": [x]}',
        400,
        "JSON Parse error: Invalid value.…",
    ),
    ("D.5 Neither key", "POST", f"{HALF}:predict", {"rows": [1.0]}, 400, "Missing 'inputs' or 'instances' key"),
    ("D.12 {}", "POST", f"{HALF}:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
    (
        "D.12 A scalar output by row",
        "POST",
        "/v1/models/sums:predict",
        {"signature_name": "total", "instances": [1.0, 2.0]},
        400,
        "Tensor name: sum has no shape information…",
    ),
    (
        "D.4 float16 by row",
        "POST",
        "/v1/models/types:predict",
        {"signature_name": "half", "instances": [1.0]},
        400,
        "…",
    ),
    (
        "D.4 float16 by column",
        "POST",
        "/v1/models/types:predict",
        {"signature_name": "half", "inputs": [1.0]},
        501,
        "…",
    ),
    (
        "D.12 Classify: a signature of another method",
        "POST",
        f"{HALF}:classify",
        {"signature_name": "regress", "examples": EXAMPLES},
        400,
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: …',
    ),
    (
        "D.12 Regress: a signature of another method",
        "POST",
        f"{HALF}:regress",
        {"examples": EXAMPLES},
        400,
        "No regression inputs found in SignatureDef: …",
    ),
    (
        "D.4 Both keys",
        "POST",
        f"{HALF}:predict",
        {"inputs": [1.0], "instances": [1.0]},
        400,
        "…Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist…",
    ),
    (
        "D.5 signature_name type",
        "POST",
        f"{HALF}:predict",
        {"signature_name": 5, "instances": [1.0]},
        400,
        "…'signature_name' key must be a string value.",
    ),
    ("D.5 Empty Input", "POST", f"{HALF}:regress", {"signature_name": "regress", "examples": []}, 400, "…"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"), [pytest.param(*row[1:], id=row[0]) for row in ERRORS]
)
def test_error(server: Server, method: str, path: str, body: Any, status: int, message: str) -> None:
    answer = server.http(method, path, body)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.status == status, answer.text
    assert list(answer.json) == ["error"]
    assert fits(answer.json["error"], message), answer.text


def test_outside_v1_is_a_404(server: Server) -> None:
    """D.4 Outside /v1/.*"""
    answer = server.http("GET", "/foo")
    assert answer.status == 404
    assert "application/json" not in answer.headers.get("Content-Type", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", f"{HALF}/versions/99999999999999999999", id="D.5 Version too big: status"),
        pytest.param("GET", f"{HALF}/versions/9223372036854775808/metadata", id="D.5 Version too big: metadata"),
        pytest.param("POST", f"{HALF}/versions/99999999999999999999:predict", id="D.5 Version too big: predict"),
    ],
)
def test_a_version_that_is_too_big_has_an_empty_body(server: Server, method: str, path: str) -> None:
    answer = server.http(method, path, {"instances": [1.0]} if method == "POST" else None)
    assert (answer.status, answer.headers["Content-Type"], answer.text) == (400, "application/json", "")


def test_options_without_cors(server: Server) -> None:
    """D.4, D.12 OPTIONS: 400, empty, with an Origin or without."""
    for headers in ({}, {"Origin": "http://example.org"}):
        answer = server.http("OPTIONS", f"{HALF}:predict", headers=headers)
        assert (answer.status, answer.text) == (400, "")
        assert "application/json" not in answer.headers.get("Content-Type", "")


@pytest.mark.parametrize(
    ("verb", "body", "expected"),
    [
        pytest.param("predict", {"instances": [1.0]}, {"predictions": [3.5]}, id="D.12 A BOM: predict"),
        pytest.param(
            "regress",
            {"signature_name": "regress", "examples": EXAMPLES},
            {"results": [4.0, 5.0]},
            id="D.12 A BOM: regress",
        ),
    ],
)
def test_a_bom_is_skipped(server: Server, verb: str, body: Any, expected: Any) -> None:
    answer = server.http("POST", f"{HALF}:{verb}", b"\xef\xbb\xbf" + json.dumps(body).encode())
    assert (answer.status, answer.json) == (200, expected)


def test_any_number_of_examples(server: Server) -> None:
    """D.12 any number of examples are answered."""
    examples = [{"x": float(number)} for number in range(2000)]
    answer = server.http("POST", f"{HALF}:regress", {"signature_name": "regress", "examples": examples})
    assert (answer.status, len(answer.json["results"])) == (200, 2000)


@pytest.mark.parametrize("rank", [[1.0, 2.0], [[1.0] * 8] * 8])
def test_a_wrong_rank_does_not_end_the_server(server: Server, rank: Any) -> None:
    """D.11 A wrong-rank tensor by REST."""
    assert server.http("POST", "/v1/models/image:predict", {"instances": rank}).status == 400
    assert server.http("GET", "/v1/models/image").status == 200
