"""``/invocations``: what the body's content type and keys mean, and which model answers."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from serving.gateway.errors import UnknownModel
from serving.gateway.protocols.hosting import only
from tests.serving.gateway.conftest import npy, picture

JSON = "application/json"


def invoke(http: httpx.Client, model: str, body: Any, content_type: str = JSON) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type, "X-Amzn-SageMaker-Custom-Attributes": f"tfs-model-name={model}"}
    return http.post("/invocations", content=content, headers=headers)


PRICES = [65.0, 72.0]  # of 2 and 3 rooms, 6.3 and 6.9 years: rooms + 10 · age
ROWS = [[2, 6.3], [3, 6.9]]
SPLIT = {"columns": ["rooms", "age"], "index": [0, 1], "data": ROWS}
RECORDS = [{"rooms": 2, "age": 6.3}, {"age": 6.9, "rooms": 3}]

PREDICTIONS: dict[str, tuple[str, Any, str, Any]] = {
    "dataframe_split": ("price", {"dataframe_split": SPLIT}, JSON, PRICES),
    "columns in another order": (
        "price",
        {"dataframe_split": {"columns": ["age", "rooms"], "data": [row[::-1] for row in ROWS]}},
        JSON,
        PRICES,
    ),
    "without names": ("price", {"dataframe_split": {"data": ROWS}}, JSON, PRICES),
    "dataframe_records": ("price", {"dataframe_records": RECORDS, "params": {}}, JSON, PRICES),
    "instances": ("price", {"instances": ROWS, "parameters": None}, JSON, PRICES),
    "a signature in parameters": (
        "price",
        {"instances": ROWS, "parameters": {"signature_name": "serving_default"}},
        JSON,
        PRICES,
    ),
    "charset": ("price", {"dataframe_records": RECORDS}, "application/json; charset=utf-8", PRICES),
    "CSV with names": ("price", b'\xef\xbb\xbfage,"rooms"\r\n6.3,2\r\n6.9,3\r\n', "text/csv", PRICES),
    "CSV without names": ("price", b"2,6.3\n3,6.9", "text/csv; charset=utf-8", PRICES),
    "JSON Lines": ("price", b"[2, 6.3]\r\n\r\n\n[3, 6.9]\n", "application/jsonlines", PRICES),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions(http: httpx.Client, case: str) -> None:
    model, body, content_type, expected = PREDICTIONS[case]
    answer = invoke(http, model, body, content_type)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"predictions": pytest.approx(expected)}
    assert answer.headers["X-Model-Version"] == "1"


def test_columns_are_the_inputs_of_a_signature(http: httpx.Client) -> None:
    assert invoke(http, "line", b"a,b,c\n1,2,3.5\n", "text/csv").json() == {"predictions": [[1, 2, 3.5]]}
    row = {"x": [1, 2, 3], "shift": 4}
    answer = invoke(http, "line", {"dataframe_records": [row], "params": {"signature_name": "both"}})
    assert answer.json() == {"predictions": [{"y": [1, 2, 3], "z": [5, 6, 7]}]}
    unknown = invoke(http, "line", {"dataframe_records": [row | {"id": 1}], "params": {"signature_name": "both"}})
    assert "unknown: id" in unknown.json()["error"]


def test_more_rows_than_a_call_takes_are_split(http: httpx.Client) -> None:
    data = [[number, 0, 1] for number in range(3000)]
    answer = invoke(http, "line", {"dataframe_split": {"columns": ["a", "b", "c"], "data": data}})
    assert answer.json() == {"predictions": data}


def test_rows_take_the_fixed_shape_of_an_input(http: httpx.Client) -> None:
    """A signal of four samples is [4, 1]; SageMaker's CSV has a row for each."""
    answer = invoke(http, "pulse", b"1,1,1,1\n-1,-1,-1,-1\n", "text/csv")
    assert answer.status_code == 200, answer.text
    same = invoke(http, "pulse", {"instances": [[[1], [1], [1], [1]], [[-1], [-1], [-1], [-1]]]})
    assert answer.json() == same.json()


@pytest.mark.parametrize("content_type", ["image/png", "application/x-image", "application/octet-stream"])
def test_pictures(http: httpx.Client, content_type: str) -> None:
    answer = invoke(http, "shade", picture(), content_type)
    assert answer.status_code == 200, answer.text
    native = http.post("/v1/models/shade:predict", content=picture(), headers={"Content-Type": "image/png"})
    assert answer.json()["predictions"] == native.json()["predictions"]


def test_native_bodies(http: httpx.Client) -> None:
    assert invoke(http, "price", npy(np.array(ROWS)), "application/x-npy").json()["predictions"] == [
        {"value": pytest.approx(price)} for price in PRICES
    ]
    next_value = invoke(http, "trend", {"history": [1, 2, 3, 4]})
    assert next_value.json()["predictions"] == [{"value": 5}]
    forecast = invoke(http, "trend", {"history": [1, 2, 3, 4], "horizon": 3})
    assert forecast.json()["forecasts"][0]["mean"] == [5, 6, 7]


def test_sagemaker_s_attributes_choose_version_and_method(http: httpx.Client) -> None:
    def ask(attributes: str) -> httpx.Response:
        headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes, "Content-Type": "image/png"}
        return http.post("/invocations", content=picture(), headers=headers)

    assert ask("trace=7, tfs-model-name=shade,tfs-model-version=1,tfs-method=embed").json()["embeddings"]
    assert ask("tfs-model-name=shade,tfs-model-version=7").status_code == 404
    assert ask("tfs-model-name=shade,tfs-method=dance").json()["code"] == "unknown_verb"
    assert ask("tfs-model-name=nobody").json()["code"] == "unknown_model"


def test_without_a_default_model_the_path_names_none(http: httpx.Client) -> None:
    answer = http.post("/invocations", json={"instances": [1]})
    assert answer.status_code == 404
    assert "--default-model" in answer.json()["error"]
    assert http.get("/invocations").status_code == 405


def test_a_gateway_without_models_asks_for_no_default_model() -> None:
    with pytest.raises(UnknownModel, match="no model yet; /readyz says why"):
        only({})


REFUSED: dict[str, tuple[Any, str, str]] = {
    "no rows": ({"dataframe_split": {"columns": ["rooms", "age"], "data": []}}, JSON, "no rows"),
    "no data": ({"dataframe_split": {"columns": ["rooms", "age"]}}, JSON, '"data"'),
    "a short row": ({"dataframe_split": {"columns": ["rooms", "age"], "data": [[1, 2], [3]]}}, JSON, "row 1 has 1"),
    "an unknown column": ({"dataframe_records": [{"rooms": 1, "aeg": 2}]}, JSON, "missing: age; unknown: aeg"),
    "a missing column": ({"dataframe_records": [{"rooms": 1, "age": 2}, {"rooms": 1}]}, JSON, "row 1"),
    "equal names": ({"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}}, JSON, "equal names"),
    "names that are no text": ({"dataframe_split": {"columns": [1, 2], "data": [[1, 2]]}}, JSON, "strings"),
    "records that are none": ({"dataframe_records": {"rooms": [1]}}, JSON, "list of objects"),
    "rows that are none": ({"dataframe_split": {"data": [1, 2]}}, JSON, "list of rows"),
    "null": ({"dataframe_records": [{"rooms": None, "age": 1}]}, JSON, "features"),
    "a word": (b"rooms,age\n1,old\n", "text/csv", "features"),
    "empty": (b"", "text/csv", "no rows"),
    "names only": (b"rooms,age\n", "text/csv", "no rows: 'rooms' is no number, so the first line names the columns"),
    "a missing value in the only row": (b"3,nan\n", "text/csv", "'nan' is no number"),
    "an open quote": (b'"rooms,age\n1,2\n', "text/csv", "CSV"),
    "not UTF-8": (b"r\xffooms,age\n1,2\n", "text/csv", "CSV"),
    "two forms": ({"dataframe_records": RECORDS, "instances": ROWS}, JSON, "only key"),
    "an unknown parameter": ({"instances": ROWS, "params": {"temperature": 1}}, JSON, "temperature"),
    "parameters that are none": ({"instances": ROWS, "params": [1]}, JSON, "params must be an object"),
    "a bad line": (b"[1, 2]\n[1,\n", "application/jsonlines", "not valid JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(http: httpx.Client, case: str) -> None:
    body, content_type, words = REFUSED[case]
    answer = invoke(http, "price", body, content_type)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]


def test_an_unknown_content_type_names_the_tables_too(http: httpx.Client) -> None:
    answer = invoke(http, "price", b"<rooms/>", "application/xml")
    assert answer.status_code == 415
    assert "text/csv and application/jsonlines" in answer.json()["error"]


def test_much_csv_is_refused(http: httpx.Client) -> None:
    assert invoke(http, "line", b"," * 600_000, "text/csv").status_code == 413


def test_ping_and_version(http: httpx.Client) -> None:
    assert http.get("/ping").status_code == 200
    assert http.get("/version").headers["Content-Type"].startswith("text/plain")
