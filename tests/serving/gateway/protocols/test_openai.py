"""OpenAI's embeddings API: complete responses and errors."""

import base64
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.gateway.conftest import picture

PATH = "/v1/embeddings"


def url(value: int) -> str:
    return "data:image/png;base64," + base64.b64encode(picture(value)).decode()


def test_one_and_several_pictures(http: httpx.Client) -> None:
    one = {"object": "embedding", "index": 0, "embedding": [5.0, 1.0]}
    answer = http.post(PATH, json={"model": "shade", "input": url(5)})
    assert answer.json() == {
        "object": "list",
        "data": [one],
        "model": "shade",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    assert answer.headers["x-model-version"] == "1"
    many = http.post(PATH, json={"model": "shade", "input": [url(5), url(9), url(7)], "user": "me"}).json()["data"]
    assert [(item["index"], item["embedding"][0]) for item in many] == [(0, 5), (1, 9), (2, 7)]


def test_base64(http: httpx.Client) -> None:
    answer = http.post(PATH, json={"model": "shade", "input": url(5), "encoding_format": "base64"}).json()
    assert np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4").tolist() == [5, 1]


@pytest.mark.parametrize("keys", [("encoding_format",), ("dimensions",), ("user",), ("input_type", "encoding_format")])
def test_null_means_absent(http: httpx.Client, keys: tuple[str, ...]) -> None:
    answer = http.post(PATH, json={"model": "shade", "input": url(5), **dict.fromkeys(keys)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["embedding"] == [5, 1]


def test_dimensions_must_match_the_model(http: httpx.Client) -> None:
    answer = http.post(PATH, json={"model": "shade", "input": url(5), "dimensions": 2})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["embedding"] == [5, 1]


def test_the_list_of_models_has_openais_form(http: httpx.Client) -> None:
    document = http.get("/v1/models").json()
    assert document["object"] == "list"
    assert [one["id"] for one in document["data"]] == [one["name"] for one in document["models"]]
    models = {one["id"]: one for one in document["data"]}
    created = datetime.fromisoformat(http.get("/v1/models/shade/card").json()["created"]).timestamp()
    assert models["shade"] == {"id": "shade", "object": "model", "created": int(created), "owned_by": "vitrine"}
    assert models["line"]["created"] == 0, "it has no card"


def test_native_requests_accept_data_urls(http: httpx.Client) -> None:
    for given in (url(5), [url(5)]):
        assert http.post("/v1/models/shade:embed", json={"b64": given}).json()["embeddings"] == [[5, 1]]


REFUSED: dict[str, tuple[Any, int, str, str]] = {
    "no model": ({"input": url(1)}, 400, "bad_document", "model must be the name"),
    "a model that is a number": ({"model": 1, "input": url(1)}, 400, "bad_document", "a number"),
    "an unknown model": ({"model": "nobody", "input": url(1)}, 404, "unknown_model", "shade"),
    "a model without embeddings": ({"model": "trend", "input": url(1)}, 404, "unknown_verb", "series"),
    "a model without a card": ({"model": "line", "input": url(1)}, 404, "unknown_verb", "model card"),
    "no input": ({"model": "shade"}, 400, "bad_document", "model and input"),
    "a null input": ({"model": "shade", "input": None}, 400, "bad_document", "model and input"),
    "a null model": ({"model": None, "input": url(1)}, 400, "bad_document", "null"),
    "an empty input": ({"model": "shade", "input": []}, 400, "bad_tensor", "empty"),
    "too many": ({"model": "shade", "input": [url(1)] * 129}, 400, "bad_tensor", "1 to 128"),
    "text": ({"model": "shade", "input": "a shoe"}, 400, "bad_document", "data:image/png;base64"),
    "tokens": ({"model": "shade", "input": [[1, 2]]}, 400, "bad_document", "a list"),
    "no base64": ({"model": "shade", "input": "data:image/png;base64,%"}, 400, "bad_document", "standard alphabet"),
    "no picture": ({"model": "shade", "input": "data:image/png;base64,aGVsbG8="}, 400, "bad_picture", "PNG, JPEG"),
    "dimensions": ({"model": "shade", "input": url(5), "dimensions": 3}, 400, "bad_option", "dimensions must be 2"),
    "dimensions as text": ({"model": "shade", "input": url(5), "dimensions": "2"}, 400, "bad_option", "dimensions"),
    "another format": ({"model": "shade", "input": url(1), "encoding_format": "x"}, 400, "bad_option", "base64"),
    "an unknown key": ({"model": "shade", "input": url(1), "top": 1}, 400, "bad_document", "top"),
    "a list": ([1], 400, "bad_document", "object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_have_the_form_of_the_api(http: httpx.Client, name: str) -> None:
    document, status, code, word = REFUSED[name]
    answer = http.post(PATH, json=document)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert answer.json().keys() == {"error"}
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert word in error["message"]


def test_wrong_methods(http: httpx.Client) -> None:
    answer = http.get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
