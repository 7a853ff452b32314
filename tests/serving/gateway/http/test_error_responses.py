"""The same mistakes on every API: each gives the same status, in the API's own form of errors.

Mistakes that only one API allows are in that API's tests.
"""

import base64
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.gateway.app import create_app
from serving.gateway.http import keys_file
from serving.gateway.settings import Settings
from tests.programs import Program, model_server_program
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import npy, picture

HISTORY = [1.0, 2.0, 3.0, 4.0]
JSON = {"content-type": "application/json"}
RequestArguments = dict[str, Any]  # arguments of httpx.Client.request


def post_json(path: str, document: Any) -> RequestArguments:
    """Write NaN as Python's json does."""
    return {"method": "POST", "url": path, "content": json.dumps(document), "headers": JSON}


def native_series(
    model: str = "trend", suffix: str = "", value: Any = HISTORY, name: str = "history"
) -> RequestArguments:
    return post_json(f"/v1/models/{model}{suffix}:forecast", {name: value, "horizon": 2})


def native_pictures(
    model: str = "shade", suffix: str = "", value: Any = None, verb: str = "predict"
) -> RequestArguments:
    array = np.zeros((1, 4, 4, 1), np.uint8) if value is None else value
    headers = {"content-type": "application/x-npy"}
    return {"method": "POST", "url": f"/v1/models/{model}{suffix}:{verb}", "content": npy(array), "headers": headers}


def tensorflow_rows(
    model: str = "trend", suffix: str = "", value: Any = (HISTORY,), name: str = "history", signature: str = ""
) -> RequestArguments:
    document = {"instances": [{name: row} for row in value], "signature_name": signature}
    return post_json(f"/v1/models/{model}{suffix}:predict", document)


def tensorflow_columns(
    model: str = "trend", suffix: str = "", value: Any = (HISTORY,), name: str = "history", signature: str = ""
) -> RequestArguments:
    return post_json(f"/v1/models/{model}{suffix}:predict", {"inputs": {name: value}, "signature_name": signature})


def tensorflow_examples(
    model: str = "line", suffix: str = "", value: Any = (1.0,), name: str = "examples", signature: str = ""
) -> RequestArguments:
    document = {name: [{"x": one} for one in value], "signature_name": signature}
    return post_json(f"/v1/models/{model}{suffix}:classify", document)


def inference_json(
    model: str = "trend",
    suffix: str = "",
    value: Any = (HISTORY,),
    name: str = "history",
    signature: str = "serving_default",
) -> RequestArguments:
    shape = [len(value), len(value[0])]
    tensor = {"name": name, "datatype": "FP32", "shape": shape, "data": value}
    document = {"inputs": [tensor], "parameters": {"signature_name": signature}}
    return post_json(f"/v2/models/{model}{suffix}/infer", document)


def inference_binary(
    model: str = "trend",
    suffix: str = "",
    value: Any = (HISTORY,),
    name: str = "history",
    signature: str = "serving_default",
    datatype: str = "FP32",
) -> RequestArguments:
    array = np.array(value, np.float32 if datatype == "FP32" else np.float64)
    tensor = {
        "name": name,
        "datatype": datatype,
        "shape": array.shape,
        "parameters": {"binary_data_size": array.nbytes},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"signature_name": signature}}).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    content = head + array.tobytes()
    return {"method": "POST", "url": f"/v2/models/{model}{suffix}/infer", "content": content, "headers": headers}


URL = "data:image/png;base64," + base64.b64encode(picture()).decode()


def embeddings(model: str = "shade", value: Any = (URL,), name: str = "input") -> RequestArguments:
    return post_json("/v1/embeddings", {"model": model, name: value})


def timeseries(model: str = "trend", value: Any = (HISTORY,), name: str = "series") -> RequestArguments:
    inputs = [{"type": "univariate_time_series", "name": "a", name: one, "frequency": "day"} for one in value]
    return post_json("/v1/timeseries/forecast", {"model": model, "inputs": inputs, "options": {"horizon": 2}})


APIS: dict[str, Callable[..., RequestArguments]] = {
    "native, series": native_series,
    "native, pictures": native_pictures,
    "TensorFlow Serving, rows": tensorflow_rows,
    "TensorFlow Serving, columns": tensorflow_columns,
    "TensorFlow Serving, examples": tensorflow_examples,
    "Open Inference Protocol, JSON": inference_json,
    "Open Inference Protocol, binary": inference_binary,
    "OpenAI, embeddings": embeddings,
    "KServe, time series": timeseries,
}
NATIVE = ("native, series", "native, pictures")
PREDICT = ("TensorFlow Serving, rows", "TensorFlow Serving, columns")
EXAMPLES = "TensorFlow Serving, examples"
BINARY = "Open Inference Protocol, binary"
OPENAI = ("OpenAI, embeddings", "KServe, time series")


def form(api: str, *, body_was_read: bool) -> str:
    """Return the form of an error.

    Only the body shows that ``:predict`` is called in TensorFlow Serving's form. Requests that are rejected before have
    the native form, which has the same ``error``.
    """
    if api in OPENAI:
        return "OpenAI"
    return "native" if api in NATIVE or (api in PREDICT and not body_was_read) else "plain"


def assert_error(
    response: httpx.Response,
    status: int,
    expected: str,
    code: str,
    words: str = "",
    kind: str = "invalid_request_error",
) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    match expected:
        case "native":
            assert response.json().keys() == {"error", "code", "request_id"}
            assert (response.json()["code"], response.json()["request_id"]) == (code, response.headers["x-request-id"])
        case "plain":
            assert response.json().keys() == {"error"}
        case "OpenAI":
            assert response.json().keys() == {"error"}
            assert error.keys() == {"message", "type", "param", "code"}
            assert (error["type"], error["param"], error["code"]) == (kind, None, code)
            error = error["message"]
    assert error.strip() and words in error, error


SHORT, WORDS, NAN, MANY = [[1.0, 2.0, 3.0]], [["1", 2.0, 3.0, 4.0]], [[float("nan"), 2.0, 3.0, 4.0]], [HISTORY] * 129
SERIES: dict[str, tuple[RequestArguments, int, str, str]] = {
    "no such model": ({"model": "nobody"}, 404, "unknown_model", "'nobody'"),
    "no such version": ({"suffix": "/versions/9"}, 404, "unknown_version", "no version 9"),
    "no such label": ({"suffix": "/labels/none"}, 400, "unknown_label", "label: none"),
    "no such signature": ({"signature": "nope"}, 400, "unknown_signature", "'nope'"),
    "no such input": ({"name": "z"}, 400, "bad_tensor", "no input 'z'"),
    "shape": ({"value": SHORT}, 400, "bad_tensor", "[N, 4]"),
    "type": ({"value": WORDS}, 400, "bad_tensor", "a string"),
    "NaN": ({"value": NAN}, 400, "bad_tensor", "finite"),
    "too many rows": ({"value": MANY}, 400, "bad_tensor", "1 to 128"),
}
ABSENT = ({}, 0, "", "")  # the API cannot express it
WRONG: dict[str, dict[str, tuple[RequestArguments, int, str, str]]] = {
    "native, series": SERIES
    | {
        "no such signature": ({"model": "shade"}, 404, "unknown_verb", ":forecast"),
        "no such input": ({"name": "z"}, 400, "bad_document", "history"),
        "shape": ({"value": [1.0, 2.0, 3.0]}, 400, "bad_tensor", "at least 4"),
        "NaN": ({"value": NAN}, 400, "bad_document", "not finite"),
    },
    "native, pictures": SERIES
    | {
        "no such signature": ({"verb": "forecast"}, 404, "unknown_verb", ":forecast"),
        "no such input": ABSENT,
        "shape": ({"value": np.zeros((1, 5, 4, 1), np.uint8)}, 400, "bad_tensor", "[N, 4, 4, 1]"),
        "type": ({"value": np.zeros((1, 4, 4, 1), np.float32)}, 400, "bad_tensor", "float32"),
        "NaN": ABSENT,
        "too many rows": ({"value": np.zeros((129, 4, 4, 1), np.uint8)}, 400, "bad_tensor", "1 to 128"),
    },
    "TensorFlow Serving, rows": SERIES | {"too many rows": ABSENT},  # they are split
    "TensorFlow Serving, columns": SERIES | {"too many rows": ABSENT},
    EXAMPLES: SERIES
    | {
        "no such input": ({"name": "example"}, 400, "bad_document", '"examples"'),
        "shape": ({"value": [[[1.0]]]}, 400, "bad_tensor", "x"),
        "type": ({"value": [[1.0, "1"]]}, 400, "bad_tensor", "mixes"),
        "NaN": ABSENT,  # examples have no model card and may contain it
        "too many rows": ABSENT,
    },
    "Open Inference Protocol, JSON": SERIES
    | {
        "no such label": ABSENT,
        "NaN": ({"value": NAN}, 400, "bad_document", "not finite"),
        "too many rows": ABSENT,  # they are split
    },
    BINARY: SERIES
    | {
        "no such label": ABSENT,
        "too many rows": ABSENT,
        "type": ({"datatype": "FP64"}, 400, "bad_tensor", "'FP64'"),
    },
    "OpenAI, embeddings": SERIES
    | {
        "no such version": ABSENT,
        "no such label": ABSENT,
        "no such signature": ({"model": "trend"}, 404, "unknown_verb", ":embed"),
        "no such input": ({"name": "inputs"}, 400, "bad_document", "inputs"),
        "shape": ({"value": [[URL]]}, 400, "bad_document", "a list"),
        "type": ({"value": [7]}, 400, "bad_document", "a number"),
        "NaN": ({"value": [float("nan")]}, 400, "bad_document", "not finite"),
        "too many rows": ({"value": [URL] * 129}, 400, "bad_tensor", "1 to 128"),
    },
    "KServe, time series": SERIES
    | {
        "no such version": ABSENT,
        "no such label": ABSENT,
        "no such signature": ({"model": "shade"}, 404, "unknown_verb", ":forecast"),
        "no such input": ({"name": "values"}, 400, "bad_document", "inputs.0.series"),
        "shape": ({"value": SHORT}, 400, "bad_tensor", "at least 4"),
        "NaN": ({"value": NAN}, 400, "bad_document", "not finite"),
    },
}
#: Mistakes in the path, which are found before the body is read.
BY_PATH = {"no such model", "no such version", "no such label"}


@pytest.mark.parametrize("api", APIS)
def test_valid_request(http: httpx.Client, api: str) -> None:
    """Otherwise the tables below could fail for another reason."""
    response = http.request(**APIS[api]())
    if api == EXAMPLES:  # no model here classifies
        assert_error(response, 400, "plain", "unknown_signature", "cannot classify")
    else:
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("mistake", SERIES)
@pytest.mark.parametrize("api", APIS)
def test_input_that_the_model_rejects(http: httpx.Client, api: str, mistake: str) -> None:
    wrong, status, code, words = WRONG[api][mistake]
    if not status:
        return
    expected = form(api, body_was_read=mistake not in BY_PATH)
    assert_error(http.request(**APIS[api](**wrong)), status, expected, code, words)


@pytest.mark.parametrize("api", APIS)
def test_malformed_request(http: httpx.Client, api: str) -> None:
    good = APIS[api]()
    before = form(api, body_was_read=False)

    def sent(**more: Any) -> httpx.Response:
        return http.request(**good | more)

    def typed(**headers: str) -> httpx.Response:
        return sent(headers=good["headers"] | {name.replace("_", "-"): value for name, value in headers.items()})

    kind = "bad_option" if api == BINARY else "bad_document"
    for content in (b'{"', b"", b"[1]"):
        assert_error(sent(content=content, headers=JSON if api == NATIVE[1] else good["headers"]), 400, before, kind)
    assert_error(sent(content=bytes(1_000_001)), 413, before, "too_large", "1000000 are accepted")
    assert_error(typed(content_encoding="zstd"), 415, before, "unsupported_media_type", "'zstd'")
    assert_error(typed(content_encoding="gzip"), 400, before, "bad_document", "not valid gzip")
    assert_error(typed(x_request_timeout="soon"), 400, before, "bad_option", "'soon'")
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = sent(method=method)
        assert_error(response, 405, before, "method_not_allowed", f"POST, not {method}")
        assert response.headers["allow"] == "POST"
    response = typed(content_type="application/pdf")
    if api in (*NATIVE, *PREDICT):  # the content type selects the codec
        assert_error(response, 415, before, "unsupported_media_type", "'application/pdf'")
    else:  # the content type is ignored, as in TensorFlow Serving
        assert response.json() == http.request(**good).json() or api == "KServe, time series"


@dataclass(frozen=True)
class Guarded:
    """A gateway with keys by name, see the fixture."""

    http: httpx.Client
    server: Program
    keys: dict[str, str]


@pytest.fixture(scope="module")
def guarded(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    secret_keys = {
        "everything": keys_file.create(file, "everything")[1],
        "another model": keys_file.create(file, "another model", frozenset({"price"}))[1],
        "another verb": keys_file.create(file, "another verb", frozenset(), frozenset({"neighbours"}))[1],
        "used up": keys_file.create(file, "used up", rate="1/day")[1],
        "unknown": "vt_00000000_nobody",
    }
    with (
        model_server_program(models_root, *programs.PROMPT) as (address, server),
        programs.gateway(address, models_root / "models.config", f"--keys={file}") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade", "trend", "line")
        gateway.http.get("/v1/models", headers={"x-api-key": secret_keys["used up"]})
        yield Guarded(gateway.http, server, secret_keys)


KEYS: dict[str, tuple[int, str, str]] = {
    "none": (401, "unauthorized", "Authorization: Bearer KEY"),
    "unknown": (401, "unauthorized", "is unknown"),
    "another model": (403, "forbidden", "is for price"),
    "another verb": (403, "forbidden", "neighbours"),
    "used up": (429, "too_many_requests", "1/day"),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("api", APIS)
def test_unauthorized_request(guarded: Guarded, api: str, key: str) -> None:
    good = APIS[api]()
    key_header = {"x-api-key": guarded.keys[key]} if key in guarded.keys else {}
    response = guarded.http.request(**good | {"headers": good["headers"] | key_header})
    status, code, words = KEYS[key]
    assert_error(response, status, form(api, body_was_read=False), code, words)
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert ("retry-after" in response.headers) == (status == 429)


def test_model_server_does_not_answer(guarded: Guarded) -> None:
    """Run as the last test of the module: the server does not answer afterwards."""
    guarded.server.process.send_signal(signal.SIGSTOP)
    try:
        for api, make_request in APIS.items():
            if api == EXAMPLES:  # rejected without a call
                continue
            good = make_request()
            more = {"x-api-key": guarded.keys["everything"], "x-request-timeout": "1s"}
            response = guarded.http.request(**good | {"headers": good["headers"] | more})
            expected = form(api, body_was_read=True)
            assert_error(response, 504, expected, "deadline_exceeded", "1 s", "server_error")
    finally:
        guarded.server.process.send_signal(signal.SIGCONT)


async def test_an_unexpected_error_of_a_route_has_the_form_of_its_path(exports: Path) -> None:
    app = create_app(Settings(exports=exports))

    @app.get("/v1/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://g") as client:
        answer = await client.get("/v1/broken")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "the gateway failed; its log has the reason under this request id",
        "code": "error",
        "request_id": answer.headers["x-request-id"],
    }
