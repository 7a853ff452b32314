"""Drift: the index as a function of values, its windows, and a real gateway asked as in training, then otherwise."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.artifacts import model_card as cards
from serving.artifacts.model_card import Distribution
from serving.gateway.backends.base import Outputs
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import Kind
from serving.gateway.observability.drift import MIN_ROWS, WINDOW, Reference, Watch, from_quantiles, psi
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import npy
from training.data.sources import distribution

RANDOM = np.random.default_rng(4)


def index(trained: np.ndarray, seen: np.ndarray) -> float:
    reference = from_quantiles(distribution(trained))
    assert reference is not None
    assert math.isclose(sum(reference.shares), 1)
    return psi(reference.shares, (reference.count(seen) // 2).tolist())


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("normal", lambda n: RANDOM.normal(70, 30, n)),
        ("skewed", lambda n: RANDOM.exponential(2, n)),
        ("near one", lambda n: 1 - RANDOM.beta(0.2, 5, n)),
        ("whole numbers", lambda n: RANDOM.integers(1, 9, n)),
        ("mostly zero", lambda n: RANDOM.random(n) < 0.07),
        ("ten values", lambda n: np.float32(np.sin(np.pi / 10 * RANDOM.integers(0, 20, n)))),
    ],
)
def test_the_same_distribution_gives_a_small_index_and_a_shifted_one_a_large(name: str, draw: object) -> None:
    trained, same = (np.asarray(draw(n), np.float64) for n in (20_000, 2_000))  # type: ignore[operator]
    assert index(trained, same) < 0.1
    assert index(trained, same + 1.5 * trained.std() + 0.01) > 0.25


def test_more_spread_at_the_same_mean_is_seen() -> None:
    assert index(RANDOM.normal(0, 1, 20_000), RANDOM.normal(0, 2, 2_000)) > 0.25


def test_one_value_alone_has_no_bins() -> None:
    assert from_quantiles(distribution(np.full(50, 3.0))) is None
    assert from_quantiles(Distribution(mean=0, std=0, quantiles=())) is None


def test_classes_are_bins() -> None:
    reference = Reference((0.5, 0.3, 0.2))
    counts = reference.count(np.array([0, 0, 1, 2, 2, 2])) // 2
    assert counts.tolist() == [2, 1, 3]
    assert psi(reference.shares, [500, 300, 200]) < 0.001
    assert psi(reference.shares, [0, 0, 1000]) > 1


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


def test_the_window_before_counts_and_older_ones_do_not(models_root: Path) -> None:
    watch = Watch(cards.read(models_root / "shade" / "1"), IMAGE)
    pictures = RANDOM.integers(0, 255, (8, 4, 4, 1)).astype(np.uint8)
    answers = Outputs({"probabilities": np.tile(np.float32([0.2, 0.7, 0.1]), (8, 1))}, True)
    rows = []
    for now in (10, 20, 10 + WINDOW, 10 + 2 * WINDOW, 10 + 9 * WINDOW):
        watch.see({"image": pictures}, answers, now)
        rows.append(watch.quantities["brightness"].rows)
        assert watch.quantities["class"].rows == rows[-1]
    assert rows == [8, 16, 24, 16, 8]
    assert watch.quantities["brightness"].psi is None  # of so few rows nothing is said


@pytest.fixture(scope="module")
def client(models_root: Path) -> Iterator[httpx.Client]:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", "--drift-per-second=100000") as one,
    ):
        programs.wait_until_ready(one, "shade", "price", "trend")
        yield one.http


def ask(client: httpx.Client, brightness: float) -> None:
    """Requests of eight 4×4 pictures each, of a normal brightness about this one, as shade's card has it for 100."""
    for _ in range(MIN_ROWS // 8 + 5):
        means = RANDOM.normal(brightness, 30, (8, 1, 1, 1))
        pictures = (means + RANDOM.normal(0, 10, (8, 4, 4, 1))).clip(0, 255).astype(np.uint8)
        answer = client.post(
            "/v1/models/shade:predict", content=npy(pictures), headers={"content-type": "application/x-npy"}
        )
        assert answer.status_code == 200


def metric(client: httpx.Client, quantity: str) -> float | None:
    line = re.escape(f'vitrine_drift_psi{{model="shade",quantity="{quantity}",version="1"}}')
    found = re.search(rf"^{line} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def test_a_gateway_that_is_asked_otherwise_than_in_training_says_so(client: httpx.Client) -> None:
    before = client.get("/v1/models/shade/drift").json()
    assert before["quantities"]["brightness"]["psi"] is None
    assert metric(client, "brightness") is None
    ask(client, 100)
    same = client.get("/v1/models/shade/drift").json()
    assert same["version"] == 1 and same["notes"] == []
    assert set(same["quantities"]) == {"brightness", "contrast", "class", "confidence"}
    assert same["quantities"]["brightness"]["rows"] >= MIN_ROWS
    assert 0 <= same["quantities"]["brightness"]["psi"] < 0.25
    ask(client, 220)
    shifted = client.get("/v1/Models/shade/versions/1/Drift").json()["quantities"]
    assert shifted["brightness"]["psi"] > 0.5
    assert shifted["class"]["psi"] > 0.5
    assert shifted["class"]["edges"] is None
    assert sum(shifted["brightness"]["observed"]) == pytest.approx(1)
    assert metric(client, "brightness") == pytest.approx(shifted["brightness"]["psi"])


def test_tables_are_watched_by_column_and_series_by_level(client: httpx.Client) -> None:
    client.post("/v1/models/price:predict", json={"features": {"rooms": 3, "age": 10}})
    assert client.get("/v1/models/price/drift").json()["quantities"]["rooms"]["rows"] == 1
    client.post("/v1/models/trend:forecast", json={"history": [1, 2, 3, 4], "horizon": 2})
    client.post("/v1/models/trend:predict", json={"instances": [[1, 2, 3, 4]]})
    quantities = client.get("/v1/models/trend/labels/stable/drift").json()["quantities"]
    assert quantities["level"]["rows"] == quantities["volatility"]["rows"] == 2


def test_what_has_nothing_to_compare_with(client: httpx.Client) -> None:
    answer = client.get("/v1/models/line/drift")
    assert answer.status_code == 404
    assert "no model card" in answer.json()["error"]
    answer = client.get("/v1/models/pulse/drift").json()
    assert answer["quantities"] == {}
    assert len(answer["notes"]) == 2
