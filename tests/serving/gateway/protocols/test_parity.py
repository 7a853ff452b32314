"""The gateway and the model server's REST API give the same answers."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serving.artifacts import models_config
from serving.artifacts.models_config import ModelConfig
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import to_array, to_proto
from tests.programs import free_port, model_server
from tests.serving.gateway import programs, stub
from tests.serving.gateway.codecs import test_fuzz
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

NAMES = ("half_plus_two", "old", "examples", "text", "conv", "shapes", "tf2", "typed")


class Both:
    """The gateway, and the REST API of the model server behind it."""

    def __init__(self, gateway: Gateway, rest: httpx.Client, address: str, config: Path) -> None:
        self.gateway = gateway
        self.address = address
        self.config = config
        self._rest = rest

    def post(self, path: str, body: Any) -> tuple[httpx.Response, httpx.Response]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/v1/models/{path}"
        return self.gateway.http.post(path, content=content), self._rest.post(path, content=content)


@pytest.fixture(scope="module")
def both(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("parity")
    config = root / "models.config"
    config.write_text(models_config.render({name: ModelConfig(name, str(foreign / name)) for name in NAMES}))
    port = free_port()
    with (
        model_server(root, f"--rest_api_port={port}", *programs.PROMPT) as address,
        programs.gateway(address, config) as gateway,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as rest,
    ):
        programs.wait_until_ready(gateway, *NAMES)
        yield Both(gateway, rest, address, config)


def rows(*values: Any, signature: str = "serving_default") -> Any:
    return {"instances": list(values), "signature_name": signature}


def columns(values: Any, signature: str = "serving_default") -> Any:
    return {"inputs": values, "signature_name": signature}


def some(*values: Any, signature: str = "serving_default", **more: Any) -> Any:
    return {"examples": [{"x": value} for value in values], "signature_name": signature, **more}


MANY = [float(number) for number in range(1000)]
ANSWERED: dict[str, tuple[str, Any, Any]] = {
    "the tutorial's request": ("examples:predict", b'{"instances": [1.0, 2.0, 5.0]}', [2.5, 3.0, 4.5]),
    "a byte order mark": ("examples:predict", b'\xef\xbb\xbf{"instances": [1.0]}', [2.5]),
    "scalars by row for [N, 1]": ("examples:predict", rows(1.0, 2), [2.5, 3.0]),
    "the same by name": ("examples:predict", rows({"x": 1.0}, {"x": 2}), [2.5, 3.0]),
    "[N, 1] as it is declared": ("examples:predict", rows([1.0], [2.0]), [[2.5], [3.0]]),
    "[N]": ("half_plus_two:predict", rows(1.0, 2.0), [2.5, 3.0]),
    "no rows": ("half_plus_two:predict", columns([]), []),
    "no rows, by name": ("half_plus_two:predict", columns({"x": []}), []),
    "no rows of [N, 1]": ("examples:predict", columns([]), []),
    "no rows of strings": ("text:predict", columns([]), {"number": [], "upper": []}),
    "rows of no values": ("shapes:predict", rows([], []), [0.0, 0.0]),
    "rows of no values, by column": ("shapes:predict", columns([[]]), [0.0]),
    "more inputs by column": ("shapes:predict", columns({"x": [[1.0]], "y": "z"}), [1.0]),
    "other numbers of rows": (
        "shapes:predict",
        columns({"a": [1, 2], "b": [3]}, "apart"),
        {"twice": [2.0, 4.0], "thrice": [9.0]},
    ),
    "no rows of one": (
        "shapes:predict",
        columns({"a": [1, 2], "b": []}, "apart"),
        {"twice": [2.0, 4.0], "thrice": []},
    ),
    "a scalar output by column": (
        "shapes:predict",
        columns([[1.0], [2.0]], "total"),
        {"y": [[2.0], [4.0]], "sum": 3.0},
    ),
    "a scalar input": ("old:predict", columns(2.0), [2.0, 4.0, 6.0]),
    "many rows": ("half_plus_two:predict", rows(*MANY), [x / 2 + 2 for x in MANY]),
    "many rows for [N, 1]": ("examples:predict", rows(*MANY), [x / 2 + 2 for x in MANY]),
    "many columns": ("shapes:predict", columns([[x, 1.0] for x in MANY]), [x + 1 for x in MANY]),
    "many rows of several outputs": (
        "shapes:predict",
        rows(*({"a": x, "b": 1.0} for x in MANY), signature="apart"),
        [{"twice": 2 * x, "thrice": 3.0} for x in MANY],
    ),
    "a signature without a name": ("half_plus_two:predict", columns([1.0], ""), [2.5]),
    "regress with a signature for predict": ("tf2:regress", some(2.0, [4.0]), [3.0, 4.0]),
    "classify with a signature for predict": (
        "tf2:classify",
        some(2.0, signature="classify"),
        [[["3.000000", 3.0]]],
    ),
    "scores alone": ("tf2:classify", some(2.0, signature="scores"), [[["", 3.0]]]),
    "many examples to regress": ("tf2:regress", some(*MANY), [x / 2 + 2 for x in MANY]),
    "many examples to classify": ("tf2:classify", some(*MANY, signature="scores"), [[["", x / 2 + 2]] for x in MANY]),
    "many examples with a context": (
        "tf2:regress",
        {"examples": [{"y": 1}] * 300, "context": {"x": 2.0}},
        [3.0] * 300,
    ),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_both_give_the_same_answer(both: Both, name: str) -> None:
    path, body, expected = ANSWERED[name]
    ours, theirs = both.post(path, body)
    assert (ours.status_code, theirs.status_code) == (200, 200), (ours.text[:300], theirs.text[:300])
    assert ours.json() == theirs.json()
    (answer,) = ours.json().values()
    assert answer == expected


REFUSED: dict[str, tuple[str, Any, str]] = {
    "nothing": ("half_plus_two:predict", b"", "JSON Parse error: The document is empty"),
    "no tensors": ("half_plus_two:predict", b"{}", "Missing 'inputs' or 'instances' key"),
    "a scalar output by row": (
        "shapes:predict",
        rows([1.0], [2.0], signature="total"),
        "Tensor name: sum has no shape",
    ),
    "an unknown label": (
        "half_plus_two/labels/no:predict",
        rows(1.0),
        "Unrecognized servable version label: no",
    ),
    "no instances": ("half_plus_two:predict", rows(), ""),
    "both forms": ("half_plus_two:predict", {"instances": [1], "inputs": [1]}, ""),
    "a signature that is no text": ("half_plus_two:predict", {"instances": [1], "signature_name": None}, ""),
    "an unknown signature": ("half_plus_two:predict", rows(1.0, signature="no"), ""),
    "an unknown input by row": ("half_plus_two:predict", rows({"x": 1.0, "z": 1.0}), ""),
    "an unknown input by column": ("half_plus_two:predict", columns({"z": [1.0]}), ""),
    "a missing input by row": ("shapes:predict", rows({"a": 1.0}, signature="apart"), ""),
    "ragged rows": ("shapes:predict", rows([], [1.0]), ""),
    "text for numbers": ("half_plus_two:predict", rows("1.0"), ""),
    "a wrong rank": ("conv:predict", rows(1.0, 2.0), ""),
    "scalars and lists for [N, 1]": (
        "shapes:predict",
        rows({"a": 1.0, "b": [2.0]}, signature="together"),
        "",
    ),
    "complex numbers": ("typed:predict", columns([[1.0, 2.0]], "turned"), ""),
    "no examples": ("tf2:regress", some(), ""),
    "examples of nothing": ("tf2:regress", {}, ""),
    "a feature that is missing": ("tf2:regress", {"examples": [{}]}, ""),
    "a signature that does not regress": ("tf2:regress", some(1.0, signature="classify"), ""),
    "a signature that does not classify": ("tf2:classify", some(1.0), ""),
    "another input": ("tf2:regress", some(1.0, signature="another_input"), ""),
    "another output": ("tf2:regress", some(1.0, signature="another_output"), ""),
    "a feature's name that is not UTF-8": ("tf2:regress", b'{"examples": [{"\xff": 1}]}', ""),
    "a context's name that is not UTF-8": ("tf2:regress", b'{"examples": [{"x": 1.0}], "context": {"\xff": 1}}', ""),
    "half a character in a name": ("tf2:regress", b'{"examples": [{"\\ud800": 1}]}', ""),
    "a signature's name that is not UTF-8": ("tf2:regress", b'{"examples": [], "signature_name": "\xff"}', ""),
    "the same for predict": ("half_plus_two:predict", b'{"inputs": [1], "signature_name": "\xff"}', ""),
    "an input's name that is not UTF-8": ("half_plus_two:predict", b'{"inputs": {"\xff": [1]}}', ""),
    "three outputs": ("tf2:classify", some(1.0, signature="too_many"), ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_with_the_same_status(both: Both, name: str) -> None:
    path, body, words = REFUSED[name]
    ours, theirs = both.post(path, body)
    assert (ours.status_code, theirs.status_code) == (400, 400), (ours.text[:300], theirs.text[:300])
    assert ours.json()["error"].startswith(words)
    assert theirs.json()["error"].startswith(words)


def test_without_a_card_the_content_type_does_not_matter(both: Both) -> None:
    http, line = both.gateway.http, "/v1/models/half_plus_two:predict"
    for content_type in ("application/pdf", "text/html; charset=utf-8", "%%%", "application/json", ""):
        headers = {"content-type": content_type}
        assert http.post(line, content=b'{"inputs": [1]}', headers=headers).json() == {"outputs": [2.5]}
        for content in (b"", b"\n", b"\xef\xbb\xbf"):
            empty = http.post(line, content=content, headers=headers)
            assert (empty.status_code, list(empty.json())) == (400, ["error"])
            assert empty.json()["error"].startswith("JSON Parse error: The document is empty")
        for content in (b'{"b64": ""}', b'{"signature_name": "both"}'):
            missing = http.post(line, content=content, headers=headers)
            assert (missing.status_code, list(missing.json())) == (400, ["error"])
            assert missing.json()["error"].startswith("Missing 'inputs' or 'instances' key")
    refused = http.post(line, content=picture(), headers={"content-type": "image/png"})
    assert (refused.status_code, "no model card" in refused.json()["error"]) == (404, True)


#: Status of the gateway and of TensorFlow Serving; docs/reference/tensorflow-serving.md explains the differences.
DIFFERENT: dict[str, tuple[str, Any, int, int]] = {
    "a list by column for [N, 1]": ("examples:predict", columns([1.0, 2.0]), 400, 200),
    "no rows of a declared size": ("conv:predict", columns([]), 200, 400),
    "[N] for a scalar": ("old:predict", rows(2.0), 400, 200),
    "an unknown key": ("half_plus_two:predict", rows(1.0) | {"signature": "both"}, 400, 200),
    "an unknown key beside examples": ("tf2:regress", some(1.0, more=1), 400, 200),
    "many rows that become one": ("shapes:predict", rows(*MANY, signature="mean"), 400, 200),
    "many rows of unlike widths": ("shapes:predict", rows(*[1.0] * 200, 2.0, signature="widest"), 400, 200),
    "half": ("typed:predict", columns([1.5], "half"), 200, 501),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_documented_differences(both: Both, name: str) -> None:
    path, body, here, there = DIFFERENT[name]
    ours, theirs = both.post(path, body)
    assert (ours.status_code, theirs.status_code) == (here, there), (ours.text[:300], theirs.text[:300])


BROKEN = [
    ("shapes:predict", rows({"x": [1.0]}, signature="sums")),
    ("half_plus_two:predict", columns({"x": [1.0]}, "both")),
    ("text:predict", rows("a", {"b64": "YQ=="})),
    ("tf2:regress", some(1.0, context={"z": ["a"]})),
    ("tf2:classify", some([1.0], signature="classify")),
]


def test_no_broken_request_gives_a_server_error(both: Both) -> None:
    for path, body in random.Random(13).sample(test_fuzz.single(BROKEN), 500):
        for answer in both.post(path, body):
            assert answer.status_code < 500, (path, body, answer.text)


class Replaced(stub.Stub):
    """A model whose version 1 is replaced by version 2 after some calls; each returns its number."""

    def __init__(self, models: stub.Models, after: int) -> None:
        super().__init__(models)
        self._after = after
        self.rows: list[int] = []
        self._gone = threading.Event()

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._lock:
            self.calls += 1
            if self.calls > self._after:
                self._gone.set()
        if request.model_spec.version.value == 1 and self._gone.is_set():
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(m, 1)")
        x = to_array(request.inputs["x"])
        self.rows.append(len(x))
        response = messages.PredictResponse(model_spec=request.model_spec)
        response.outputs["y"].CopyFrom(to_proto(np.full_like(x, request.model_spec.version.value)))
        return response

    def status(self, request: Any, context: grpc.ServicerContext) -> Any:
        response = messages.GetModelStatusResponse()
        version = 2 if self._gone.is_set() else 1
        response.model_version_status.add(version=version, state=messages.ModelVersionStatus.AVAILABLE)
        return response


def test_one_version_answers_all_rows(tmp_path: Path) -> None:
    x, y = (TensorSpec(name, messages.DT_FLOAT, (None,)) for name in "xy")
    replaced = Replaced({"m": {"serving_default": Signature("serving_default", {"x": x}, {"y": y})}}, after=5)
    with (
        stub.serving(replaced) as address,
        programs.gateway(address, tmp_path / "none", "--models=m") as gateway,
    ):
        programs.wait_until_ready(gateway, "m")
        answer = gateway.http.post("/v1/models/m:predict", json={"instances": MANY})
        assert answer.headers["x-model-version"] == "2"
        assert answer.json() == {"predictions": [2.0] * 1000}
        assert max(replaced.rows) == 128


def test_the_memory_of_a_split_request_is_limited(both: Both) -> None:
    with programs.gateway(both.address, both.config, "--max-bytes-in-flight=20000000") as gateway:
        programs.wait_until_ready(gateway, "shapes")
        for width, status in ((10.0, 200), (1000.0, 413)):
            document = rows(*[width] * 1000, signature="widest")
            answer = gateway.http.post("/v1/models/shapes:predict", json=document)
            assert answer.status_code == status, answer.text[:300]
        assert "bytes of memory" in answer.json()["error"]
