"""Drift: the windows of the counts, and a real gateway whose requests are as in training, then different."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.artifacts import model_card as cards
from serving.gateway.backends.base import Outputs
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import Kind
from serving.gateway.observability.drift import MIN_ROWS, WINDOW, VersionDrift
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import npy

RANDOM = np.random.default_rng(4)


IMAGE, SERIES, _, SIGNAL = KINDS


@pytest.mark.parametrize(
    ("kind", "name", "spread"), [(SERIES, "history", "volatility"), (SIGNAL, "signal", "strength")]
)
def test_small_deviations_of_large_values_are_measured(models_root: Path, kind: Kind, name: str, spread: str) -> None:
    """float32, the type of the tensors, has neither the digits nor the range."""
    card = cards.read(models_root / "shade" / "1")
    for low, high in ((1e6, 1e6 + 0.0625), (-3e38, 3e38)):
        values = np.array([[low, high] * 20], np.float32)
        tensors = {name: values if name == "history" else values[..., None]}
        assert kind.measure(tensors, Outputs({}, clean=True), card)[spread] == pytest.approx(
            np.std(values.astype(float))
        )


def test_the_counts_cover_the_current_and_the_previous_window(models_root: Path) -> None:
    drift = VersionDrift(cards.read(models_root / "shade" / "1"), IMAGE)
    pictures = RANDOM.integers(0, 255, (8, 4, 4, 1)).astype(np.uint8)
    outputs = Outputs({"probabilities": np.tile(np.float32([0.2, 0.7, 0.1]), (8, 1))}, True)
    rows = []
    for now in (10, 20, 10 + WINDOW, 10 + 2 * WINDOW, 10 + 9 * WINDOW):
        drift.add({"image": pictures}, outputs, now)
        rows.append(drift.quantities["brightness"].rows)
        assert drift.quantities["class"].rows == rows[-1]
    assert rows == [8, 16, 24, 16, 8]
    assert drift.quantities["brightness"].psi is None


@pytest.fixture(scope="module")
def client(models_root: Path) -> Iterator[httpx.Client]:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", "--drift-per-second=100000") as one,
    ):
        programs.wait_until_ready(one, "shade", "price", "trend", "line", "pulse")
        yield one.http


def predict(client: httpx.Client, brightness: float) -> None:
    """Send requests of eight pictures whose mean brightness is normal; shade's card has a mean of 100."""
    for _ in range(MIN_ROWS // 8 + 5):
        means = RANDOM.normal(brightness, 30, (8, 1, 1, 1))
        pictures = (means + RANDOM.normal(0, 10, (8, 4, 4, 1))).clip(0, 255).astype(np.uint8)
        response = client.post(
            "/v1/models/shade:predict", content=npy(pictures), headers={"content-type": "application/x-npy"}
        )
        assert response.status_code == 200


def metric(client: httpx.Client, quantity: str) -> float | None:
    line = re.escape(f'vitrine_drift_psi{{model="shade",quantity="{quantity}",version="1"}}')
    found = re.search(rf"^{line} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def test_the_index_rises_when_requests_differ_from_training(client: httpx.Client) -> None:
    before = client.get("/v1/models/shade/drift").json()
    assert before["quantities"]["brightness"]["psi"] is None
    assert metric(client, "brightness") is None
    predict(client, 100)
    same = client.get("/v1/models/shade/drift").json()
    assert same["version"] == 1 and same["notes"] == []
    assert set(same["quantities"]) == {"brightness", "contrast", "class", "confidence"}
    assert same["quantities"]["brightness"]["rows"] >= MIN_ROWS
    assert 0 <= same["quantities"]["brightness"]["psi"] < 0.25
    predict(client, 220)
    shifted = client.get("/v1/Models/shade/versions/1/Drift").json()["quantities"]
    assert shifted["brightness"]["psi"] > 0.5
    assert shifted["class"]["psi"] > 0.5
    assert shifted["class"]["edges"] is None
    assert sum(shifted["brightness"]["observed"]) == pytest.approx(1)
    assert metric(client, "brightness") == pytest.approx(shifted["brightness"]["psi"])


def test_tables_count_by_column_and_series_by_level(client: httpx.Client) -> None:
    client.post("/v1/models/price:predict", json={"features": {"rooms": 3, "age": 10}})
    assert client.get("/v1/models/price/drift").json()["quantities"]["rooms"]["rows"] == 1
    client.post("/v1/models/trend:forecast", json={"history": [1, 2, 3, 4], "horizon": 2})
    client.post("/v1/models/trend:predict", json={"instances": [[1, 2, 3, 4]]})
    quantities = client.get("/v1/models/trend/labels/stable/drift").json()["quantities"]
    assert quantities["level"]["rows"] == quantities["volatility"]["rows"] == 2


def test_models_without_a_card_or_without_statistics(client: httpx.Client) -> None:
    missing = client.get("/v1/models/line/drift")
    assert missing.status_code == 404
    assert "no model card" in missing.json()["error"]
    drift = client.get("/v1/models/pulse/drift").json()
    assert drift["quantities"] == {}
    assert len(drift["notes"]) == 2
