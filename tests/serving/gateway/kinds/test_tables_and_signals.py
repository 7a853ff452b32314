"""Native :predict for table rows and signals: every form of body, units and labels, errors."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.gateway.conftest import npy, picture

PRICE = "/v1/models/price:predict"
PULSE = "/v1/models/pulse:predict"
NPY = {"content-type": "application/x-npy"}


@pytest.mark.parametrize(
    ("features", "values"),
    [
        ([3, 1], [13]),
        ([[3, 1], [4, 2.5]], [13, 29]),
        ({"age": 1, "rooms": 3}, [13]),
        ([{"rooms": 3, "age": 1}, {"age": 2, "rooms": 4}], [13, 24]),
    ],
)
def test_table_rows(http: httpx.Client, features: Any, values: list[float]) -> None:
    answer = http.post(PRICE, json={"features": features})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [one["value"] for one in body["predictions"]] == values
    assert (body["model"], body["version"], body["target"], body["unit"]) == ("price", 1, "price", "1000 USD")


@pytest.mark.parametrize("array", [np.array([3, 1]), np.array([[3.0, 1.0]]), np.array([[3, 1]], "f2")])
def test_table_rows_as_arrays(http: httpx.Client, array: np.ndarray) -> None:
    assert http.post(PRICE, content=npy(array), headers=NPY).json()["predictions"] == [{"value": 13}]


@pytest.mark.parametrize("signal", [[1, 2, 3, 4], [[1, 2, 3, 4]], [[1], [2], [3], [4]], [[[1], [2], [3], [4]]]])
def test_signals(http: httpx.Client, signal: Any) -> None:
    for answer in (
        http.post(PULSE, json={"signal": signal}),
        http.post(PULSE, content=npy(np.array(signal)), headers=NPY),
    ):
        (one,) = answer.json()["predictions"]
        assert (one["label"], one["index"]) == ("high", 1)
    (one,) = http.post(PULSE, json={"signal": signal}, params={"top": "1"}).json()["predictions"]
    assert list(one["probabilities"]) == ["high"]


REFUSED: dict[str, tuple[str, Any, str, tuple[str, ...]]] = {
    "no features": (PRICE, {"rows": [1, 2]}, "bad_document", ("features", "rooms", "rows")),
    "a text": (PRICE, {"features": "a"}, "bad_tensor", ("a string",)),
    "a column missing": (PRICE, {"features": {"rooms": 1}}, "bad_tensor", ("missing: age",)),
    "a column unknown": (PRICE, {"features": {"rooms": 1, "age": 1, "x": 1}}, "bad_tensor", ("unknown: x",)),
    "mixed": (PRICE, {"features": [{"rooms": 1, "age": 1}, [1, 2]]}, "bad_tensor", ("a list",)),
    "too few": (PRICE, {"features": [1]}, "bad_tensor", ("rooms, age", "[1, 1]")),
    "too deep": (PRICE, {"features": [[[1, 2]]]}, "bad_tensor", ("[N, 2]",)),
    "no row": (PRICE, {"features": []}, "bad_tensor", ("[N, 2]",)),
    "ragged": (PRICE, {"features": [[1, 2], [1]]}, "bad_tensor", ("ragged",)),
    "words": (PRICE, {"features": {"rooms": "three", "age": 1}}, "bad_tensor", ("a string",)),
    "nothing": (PRICE, {"features": {"rooms": None, "age": 1}}, "bad_tensor", ("null",)),
    "below the range": (PRICE, {"features": [0.5, 1]}, "bad_tensor", ("rooms", "1 to 9", "0.5")),
    "above the range": (PRICE, {"features": [[1, 1], [10, 1]]}, "bad_tensor", ("rooms", "10")),
    "too many rows": (PRICE, {"features": [[1, 1]] * 129}, "bad_tensor", ("128", "129")),
    "no signal": (PULSE, {"features": [1]}, "bad_document", ("signal", "4 samples")),
    "a short signal": (PULSE, {"signal": [1, 2, 3]}, "bad_tensor", ("4 samples", "[3]")),
    "channels": (PULSE, {"signal": [[[1, 2]] * 4]}, "bad_tensor", ("[1, 4, 2]",)),
    "a number": (PULSE, {"signal": 1}, "bad_tensor", ("4 samples",)),
    "a word": (PULSE, {"signal": ["1", 2, 3, 4]}, "bad_tensor", ("a string",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(http: httpx.Client, name: str) -> None:
    path, document, code, words = REFUSED[name]
    answer = http.post(path, json=document)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    for word in words:
        assert word in answer.json()["error"]


@pytest.mark.parametrize("path", [PRICE, PULSE])
def test_other_bodies_and_verbs_are_refused(http: httpx.Client, path: str) -> None:
    answer = http.post(path, content=picture(), headers={"content-type": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    answer = http.post(path, content=npy(np.full(4 if path == PULSE else 2, np.nan)), headers=NPY)
    assert "NaN" in answer.json()["error"]
    answer = http.post(path, content=npy(np.zeros(4, bool)), headers=NPY)
    assert "bool" in answer.json()["error"]
    for verb in ("embed", "forecast", "neighbours"):
        answer = http.post(path.replace("predict", verb), json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_verb")
        assert "it offers :predict" in answer.json()["error"]
    assert http.post(path, json={}, params={"polarity": "auto"}).json()["code"] == "bad_option"


def test_every_api_checks_a_columns_range(http: httpx.Client) -> None:
    for path, document in (
        ("/v1/models/price:predict", {"instances": [[10, 1]]}),
        (
            "/v2/models/price/infer",
            {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [10, 1]}]},
        ),
    ):
        answer = http.post(path, json=document)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
        assert "column rooms must be 1 to 9" in answer.json()["error"]
