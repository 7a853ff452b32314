"""A fifth kind of model in one file: the gateway serves it over HTTP without another change."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import grpc
import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Response

from serving.artifacts.model_card import ModelCard
from serving.gateway.app import create_app
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadOption, BadTensor
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import (
    Kind,
    Measurements,
    ModelInput,
    ModelOutput,
    Operation,
    OperationDocs,
    Options,
    Parser,
    ReadContext,
)
from serving.gateway.kinds.expected_signature import Expected, tensor
from serving.gateway.kinds.schemas import INTEGER, TEXT, array_of, object_of
from serving.gateway.models.signature import Signature, TensorSpec
from serving.gateway.settings import Settings
from serving.tfs_api import messages
from serving.tfs_api.tensors import to_array, to_proto
from tests.serving.gateway import stub
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.models.test_canary import until


def _parse_case(text: str) -> str:
    if text not in ("keep", "lower"):
        raise BadOption(f"case must be keep or lower, not {text!r}")
    return text


class CountLetters(Operation):
    """``:predict``: how often each letter of the card's labels occurs in a word."""

    options: ClassVar[Mapping[str, Parser]] = {"case": _parse_case}
    docs = OperationDocs(
        description="A word model counts letters.",
        request=("WordDocument", object_of({"word": TEXT}), {"word": "banana"}),
        response=(
            "Letters",
            object_of({"letters": array_of({"type": "object", "additionalProperties": INTEGER})}),
            {"letters": [{"a": 3}]},
        ),
        parameters=({"name": "case", "in": "query", "schema": {"type": "string", "enum": ["keep", "lower"]}},),
    )

    def expected(self, card: ModelCard) -> Expected | str:
        return Expected(
            "serving_default",
            {"letters": tensor(np.int32, None)},
            {"counts": tensor(np.int32, len(card.labels))},
        )

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        match payload:
            case JsonDocument({"word": str(word)}):
                word = word.lower() if options.get("case") == "lower" else word
                return ModelInput({"letters": np.array([[ord(letter) for letter in word]], np.int32)})
        raise BadDocument('a word in JSON is {"word": "…"}')

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        return {"letters": [dict(zip(output.card.labels, row, strict=True)) for row in output.outputs["counts"]]}


class WordKind(Kind):
    name = "word"
    operations: ClassVar[Mapping[str, Operation]] = {"predict": CountLetters()}

    def recipe(self, card: ModelCard) -> object:
        return card.labels

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        return {"length": np.array([arrays["letters"].shape[1]])}

    def check(self, signature: Signature, arrays: Arrays, card: ModelCard, max_pixels: int) -> None:
        if arrays["letters"].shape[1] > 10:
            raise BadTensor("a word has at most 10 letters")


INT32 = messages.DT_INT32
SIGNATURES = {
    "serving_default": Signature(
        "serving_default",
        {"letters": TensorSpec("letters", INT32, (None, None))},
        {"counts": TensorSpec("counts", INT32, (None, 2))},
    ),
    "describe": Signature(
        "describe",
        {"query": TensorSpec("query", messages.DT_STRING, (None,))},
        {"card": TensorSpec("card", messages.DT_STRING, (None,))},
    ),
}


class WordModel(stub.Stub):
    """A model server with one model, which counts the letters a and b."""

    def __init__(self, card: bytes) -> None:
        super().__init__({"words": SIGNATURES})
        self._card = card

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        response = messages.PredictResponse(model_spec=request.model_spec)
        if request.model_spec.signature_name == "describe":
            response.outputs["card"].CopyFrom(to_proto(np.array([self._card], object)))
            return response
        letters = to_array(request.inputs["letters"])
        counts = np.stack([(letters == ord(letter)).sum(axis=1) for letter in "ab"], axis=1)
        response.outputs["counts"].CopyFrom(to_proto(counts.astype(np.int32)))
        return response


def _card(models_root: Path) -> bytes:
    card = ModelCard.model_validate_json((models_root / "pulse/1/assets.extra/card.json").read_bytes())
    length = {"length": {"mean": 5, "std": 1, "quantiles": list(range(11))}}
    changes = {"model": "words", "kind": "word", "labels": ("a", "b"), "signal": None}
    return ModelCard.model_validate(card.model_dump() | changes | {"inputs": length}).model_dump_json().encode()


@contextlib.contextmanager
def serving(settings: Settings, *more: Kind, page: dict[str, str] | None = None) -> Iterator[httpx.Client]:
    """The gateway in a thread behind a port, with its own kinds and page modules, and these."""

    def create() -> FastAPI:
        app = create_app(settings, kinds=(*KINDS, *more))
        for name, text in (page or {}).items():
            app.add_api_route(f"/page/{name}", lambda text=text: Response(text, media_type="text/javascript"))
        return app

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create,
            factory=True,
            interface="asgi3",
            lifespan="on",
            log_config=None,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=30) as client:
                until(lambda: server.started)
                until(lambda: client.get("/readyz").status_code == 200)
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def settings(models_root: Path) -> Iterator[Settings]:
    with stub.serving(WordModel(_card(models_root))) as address:
        yield Settings(model_server=address, models="words", poll_seconds=0.05, drift_per_second=1000)


@pytest.fixture(scope="module")
def words(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings, WordKind()) as client:
        yield client


def test_a_fifth_kind_is_served(words: httpx.Client) -> None:
    answer = words.post("/v1/models/words:predict", json={"word": "banana"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "model": "words",
        "version": 1,
        "request_id": answer.headers["x-request-id"],
        "letters": [{"a": 3, "b": 1}],
    }
    assert words.post("/v1/models/words:predict", json={"word": "ABBA"}).json()["letters"] == [{"a": 0, "b": 0}]
    lower = words.post("/v1/models/words:predict", json={"word": "ABBA"}, params={"case": "lower"})
    assert lower.json()["letters"] == [{"a": 2, "b": 2}]


def test_its_input_and_options_are_checked(words: httpx.Client) -> None:
    for document, options, code in (
        ({"text": "a"}, {}, "bad_document"),
        ({"word": "a"}, {"case": "upper"}, "bad_option"),
        ({"word": "a"}, {"polarity": "auto"}, "bad_option"),
        ({"word": "a" * 11}, {}, "bad_tensor"),
    ):
        answer = words.post("/v1/models/words:predict", json=document, params=options)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    tensors = words.post("/v1/models/words:predict", json={"instances": [[97] * 11]})
    assert (tensors.status_code, tensors.json()["error"]) == (400, "a word has at most 10 letters")


def test_list_openapi_and_drift_include_the_kind(words: httpx.Client) -> None:
    (entry,) = words.get("/v1/models").json()["models"]
    assert (entry["kind"], entry["verbs"]) == ("word", ["predict"])
    document = words.get("/openapi.json").json()
    predict = document["paths"]["/v1/models/{model}:predict"]["post"]
    assert predict["requestBody"]["content"]["application/json"]["examples"]["word"] == {"value": {"word": "banana"}}
    assert {"case", "polarity", "top"} <= {one["name"] for one in predict["parameters"]}
    words.post("/v1/models/words:predict", json={"word": "banana"})
    quantities = words.get("/v1/models/words/drift").json()["quantities"]
    assert quantities["length"]["rows"] > 0


PAGE_MODULE = """
import { element } from "./elements.js";
import { requestModel } from "./gateway.js";

export const title = "How many letters has a word?";
export const content = '<label>Word <input id="word" value="banana"></label> <p id="counts"></p>';
export function start(section) {
  return async () => {
    const { letters } = await requestModel(section.model.name, "predict", { word: element("word").value });
    element("counts").textContent = JSON.stringify(letters[0]);
  };
}
"""


def test_its_page_module_is_a_section_of_the_page(settings: Settings, window: Browser) -> None:
    with serving(settings, WordKind(), page={"word.js": PAGE_MODULE}) as client:
        window.open(str(client.base_url))
        window.wait_for('{"a":3,"b":1}', "#counts")
        assert window.texts("#tabs a") == ["word", "Models"]
        assert window.texts("h2") == ["How many letters has a word?"]


def test_the_page_lists_kinds_without_a_module(words: httpx.Client, window: Browser) -> None:
    window.open(str(words.base_url))
    window.wait_for("words", "#models")
    assert window.texts("#tabs a") == ["Models"] and window.texts("#problem") == []


def test_a_gateway_without_the_kind_serves_its_tensors(settings: Settings) -> None:
    with serving(settings) as client:
        native = client.post("/v1/models/words:predict", json={"word": "banana"})
        assert (native.status_code, native.json()["code"]) == (404, "unknown_verb")
        assert "no kind 'word'" in native.json()["error"]
        assert client.post("/v1/models/words:predict", json={"instances": [[97, 98]]}).json() == {
            "predictions": [[1, 1]]
        }
