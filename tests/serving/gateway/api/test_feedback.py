"""Feedback: counts by version over workers, repeated ids, bad items, keys, the request log, and the Python client."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.artifacts import models_config
from serving.artifacts.models_config import ModelConfig
from serving.client import Client, Feedback
from serving.gateway.http import keys_file
from serving.gateway.workers.seen_ids import SeenIds
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.programs import Gateway

SHADE, TREND, PRICE = (f"/v1/models/{model}:feedback" for model in ("shade", "trend", "price"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of each model, and version 2 of shade on the disk only."""
    root = served_models.write(tmp_path_factory.mktemp("exports"))
    served_models.shade(root, 2)
    entries = {name: ModelConfig(name, f"/models/{name}", specific=(1,)) for name in served_models.NAMES}
    (root / "models.config").write_text(models_config.render(entries))
    return root


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Gateway]:
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, *served_models.NAMES)
        yield gateway


def item(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "prediction": "dark", "label": "dark"} | changes


def live(http: httpx.Client, model: str) -> dict[int, Any]:
    return {one["version"]: one["live"] for one in http.get(f"/v1/models/{model}/versions").json()["versions"]}


def test_two_workers_count_together(root: Path, tmp_path: Path) -> None:
    """Metrics, the models API and repeated ids are those of all workers; the request log has each counted item."""
    log = tmp_path / "log"
    flags = ("--workers=2", f"--request-log={log}", "--request-log-sample=0")
    with programs.embedded_gateway(root, *flags, ready="2 workers serve") as gateway:
        for number in range(12):  # connections of their own reach both workers
            with httpx.Client(base_url=gateway.url) as http:
                sent = item(prediction="dark" if number % 4 else "light", request_id=f"r-{number // 2}")
                answer = http.post(SHADE, json=sent)
                assert answer.json() == {"model": "shade", "counted": 1 - number % 2, "duplicates": number % 2}
        http = gateway.http
        assert http.post(SHADE, json=item(prediction=2, label="light", row=1, request_id="r-0")).json()["counted"] == 1
        batch = {"feedback": [item(prediction=7, label=10.5), item(prediction=1, label=0)]}
        assert http.post(PRICE, json=batch).json() == {"model": "price", "counted": 2, "duplicates": 0}
        assert live(http, "shade")[1] == {"rows": 7, "accuracy": pytest.approx(4 / 7), "mean_absolute_error": None}
        assert live(http, "price") == {1: {"rows": 2, "accuracy": None, "mean_absolute_error": 2.25}}
        assert live(http, "trend") == {1: None}
        lines = http.get("/metrics").text.splitlines()
        assert gateway.program.stop(signal.SIGTERM) == 0
    label = '{model="shade",version="1"}'
    assert [line for line in lines if line.startswith(f"vitrine_live_accuracy{label}")] == [
        f"vitrine_live_accuracy{label} {4 / 7}"
    ]
    assert 'vitrine_feedback_total{model="shade",outcome="wrong",version="1"} 3.0' in lines
    assert 'vitrine_live_absolute_error{model="price",version="1"} 2.25' in lines
    entries = [json.loads(line) for file in log.rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(entries) == 9 and {one["event"] for one in entries} == {"feedback"}
    (first,) = [one for one in entries if one["request_id"] == "r-0" and one["request"]["row"] == 0]
    assert first["request"] == {"version": 1, "prediction": "light", "label": "dark", "row": 0}


def test_numbers_and_versions(served: Gateway) -> None:
    """Forecasts are lists from the first step on; a version that is not loaded is checked by its card on the disk."""
    http = served.http
    assert http.post(TREND, json=item(prediction=[1, 2.5], label=[2, 2])).json()["counted"] == 1
    assert live(http, "trend")[1] == {"rows": 2, "accuracy": None, "mean_absolute_error": 0.75}
    states = {one["version"]: one["state"] for one in http.get("/v1/models/shade/versions").json()["versions"]}
    assert states[2] == "ON_DISK"
    assert http.post(SHADE, json=item(version=2)).json()["counted"] == 1
    assert live(http, "shade")[2]["accuracy"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (SHADE, item(label="Lihgt"), 400, "label 'Lihgt' is not a class of shade; the nearest is 'light'"),
        (SHADE, item(prediction=3), 400, "such as 'dark', or an index from 0 to 2, not 3"),
        (SHADE, item(label=True), 400, "label must be one of 3 classes"),
        (SHADE, item(label=None), 400, "label must be one of 3 classes"),
        (SHADE, {"version": 1, "label": "dark"}, 400, "prediction is missing"),
        (SHADE, item(versoin=1), 400, "versoin is not a known field"),
        (SHADE, item(version="1"), 400, "version is '1': it should be a valid integer"),
        (SHADE, item(request_id="a b"), 400, "request_id is 'a b': String should match pattern"),
        (SHADE, {"feedback": [item(), item(label="x")]}, 400, "feedback.1.label 'x' is not a class of shade; its"),
        (SHADE, {"feedback": []}, 400, "feedback: List should have at least 1 item"),
        (SHADE, {"feedback": [item()] * 1001}, 400, "feedback: List should have at most 1000 items"),
        (SHADE, [item()], 400, "the body: it should be an object"),
        (SHADE, item(version=7), 404, "model shade has no version 7; available: 1"),
        (PRICE, item(prediction="7", label=7), 400, "prediction must be a finite number"),
        (TREND, item(prediction=[1, 2], label=[1]), 400, "label has 1 values, but prediction has 2"),
        (TREND, item(prediction=[1, 2], label=[1, None]), 400, "label must be a finite number, or a list"),
        (TREND, item(prediction=[], label=[]), 400, "prediction must be a finite number, or a list of 1 to 10000"),
        ("/v1/models/line:feedback", item(), 404, "model line version 1 has no model card"),
        ("/v1/models/nobody:feedback", item(), 404, "there is no model 'nobody'"),
    ],
)
def test_bad_feedback_counts_nothing(served: Gateway, path: str, body: Any, status: int, words: str) -> None:
    before = served.http.get("/metrics").text.count("vitrine_feedback_total{")
    answer = served.http.post(path, json=body)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
    assert served.http.get("/metrics").text.count("vitrine_feedback_total{") == before


def test_bodies_that_cannot_be_read(served: Gateway) -> None:
    for content, words in (
        (b"", "must be a JSON object"),
        (b"{", "must be a JSON object"),
        (b"1", "1: it should be an object"),
    ):
        answer = served.http.post(SHADE, content=content)
        assert (answer.status_code, words in answer.text) == (400, True), answer.text
    assert served.http.post(SHADE, content=b" " * 1_000_001).status_code == 413


def test_a_key_must_be_for_the_model_and_for_predictions(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    secrets = {
        "predict": keys_file.create(file, "a", models=frozenset({"shade"}), verbs=frozenset({"predict"}))[1],
        "embed": keys_file.create(file, "b", verbs=frozenset({"embed"}))[1],
        "forecast": keys_file.create(file, "c", verbs=frozenset({"forecast"}))[1],
    }
    with programs.embedded_gateway(root, f"--keys={file}") as gateway:
        programs.wait_until_ready(gateway, "shade", "trend")

        def status(path: str, verb: str) -> int:
            headers = {"x-api-key": secrets[verb]} if verb else {}
            body = item() if path == SHADE else item(prediction=1, label=1)
            return gateway.http.post(path, json=body, headers=headers).status_code

        asked = [(SHADE, "predict"), (TREND, "predict"), (TREND, "forecast"), (SHADE, "embed"), (SHADE, "")]
        assert [status(*one) for one in asked] == [200, 403, 200, 403, 401]


def test_the_python_client(served: Gateway) -> None:
    with Client(served.url) as client:
        predicted = client.predict_table("price", {"rooms": 3, "age": 1})
        given = Feedback(predicted.version, predicted.values[0], 14.0, predicted.request_id)
        assert client.feedback("price", given).counted == 1
        repeated = client.feedback("price", given, Feedback(1, 2.0, 2.0))
        assert (repeated.model, repeated.counted, repeated.duplicates) == ("price", 1, 1)


def test_old_ids_are_forgotten() -> None:
    seen = SeenIds(most=2)
    assert seen.add(["a", "b", "a"]) == [True, True, False]
    assert seen.add(["c", "a", "c"]) == [True, True, False]  # a was the oldest
