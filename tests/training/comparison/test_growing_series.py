"""Forecasters of a series that has grown, compared with those that were fitted again on all of it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import CardSignature, Data, ModelCard, SeriesRecipe, Tensor, Training, Verdict
from serving.artifacts.registry import ModelRegistry
from training.comparison import published
from training.comparison.held_out import HeldOut
from training.comparison.kept_scores import KeptScores
from training.comparison.scores import SCORES
from training.core import parts
from training.core.array import Array
from training.core.gate import GatePolicy, judge, live_version
from training.forecasting import backtest

WINDOW, HORIZON, METRIC = 40, 14, "horizon_skill"
POLICY = GatePolicy(METRIC, largest_loss=0.05)
RECIPE = SeriesRecipe(window=WINDOW, max_horizon=HORIZON, step="day", unit="1")
SERIES = np.cumsum(np.random.default_rng(0).normal(size=1_400))


class Naive(tf.Module):
    """Repeats the last value."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, WINDOW), tf.float32, "history"),
            tf.TensorSpec((None,), tf.int32, "horizon"),
        ]
    )
    def forecast(self, history: tf.Tensor, horizon: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": tf.repeat(history[:, -1:], tf.reduce_max(horizon), axis=1)}


def held(values: int, worse: float) -> HeldOut:
    """Return the test of a candidate on the first ``values`` of the series; its error is ``worse`` times the naive."""
    origins = backtest.roll(SERIES[:values], round(0.85 * values), window=WINDOW, horizon=HORIZON, season=1)
    inputs = {"history": origins.history.astype(np.float32)}
    forecasts = origins.truth + (origins.naive["naive"] - origins.truth) * worse
    scores = SCORES[METRIC](origins.truth, forecasts, inputs)
    part = parts.described({"test": (inputs["history"], origins.truth)})["test"]
    return HeldOut("test", METRIC, (), inputs, origins.truth, scores, part, forecasts)


def candidate(registry: ModelRegistry, values: int, worse: float) -> Verdict:
    live, rows = live_version(registry, "toy"), held(values, worse)
    results = published.on_gate_rows(rows, POLICY, registry, "toy", live)
    return judge({METRIC: float(rows.scores.mean())}, data(rows), POLICY, live, on_rows=results)


def data(rows: HeldOut) -> Data:
    return Data(name="toys", source="test", licence="none", rows={"train": 1}, parts={"test": rows.described})


def publish(registry: ModelRegistry, values: int, worse: float, verdict: Verdict) -> None:
    """Publish the candidate. Fitted again on all values, it would be the naive forecast."""
    rows = held(values, worse)
    history, horizon = Tensor(dtype="float32", shape=(None, WINDOW)), Tensor(dtype="int32", shape=(None,))
    card = ModelCard(
        model="toy",
        kind="series",
        title="toy",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        series=RECIPE,
        signatures={"forecast": CardSignature(inputs={"history": history, "horizon": horizon}, outputs={})},
        data=data(rows),
        training=Training(recipe={}, quick=False, seconds=1, refitted=True),
        metrics={METRIC: float(rows.scores.mean())},
        gate=verdict,
        parameters=1,
        trainable_parameters=1,
        versions={},
    )
    with registry.staging("toy") as directory:
        toy = Naive()
        tf.saved_model.save(toy, str(directory), signatures={"forecast": toy.forecast})
        (directory / CARD_FILE).parent.mkdir(exist_ok=True)
        (directory / CARD_FILE).write_text(card.model_dump_json(), encoding="utf-8")
        rows.keep(directory)
        version = registry.publish("toy", directory)
    registry.promote("toy", version)


def test_68_small_losses_do_not_add_up(tmp_path: Path) -> None:
    """Each candidate is a little worse than the live version, and each fifth has one value more."""
    registry = ModelRegistry(tmp_path, settle=0)
    worse, refused = 0.5, 0
    for step in range(68):
        verdict = candidate(registry, 1_000 + step // 5, worse + 0.01)
        if verdict.accepted:
            worse += 0.01
            publish(registry, 1_000 + step // 5, worse, verdict)
        refused += not verdict.accepted
    assert refused >= 60 and worse < 0.6
    assert "version 1, the best on these rows, has" in " ".join(verdict.reasons)
    assert "126 of 139 rows of the test part" in " ".join(verdict.reasons)
    assert candidate(registry, 1_013, 0.5).accepted


def test_new_origins_are_forecast_by_the_live_version(tmp_path: Path) -> None:
    """It is measured on the common ones by its kept scores, and from its last value on by its SavedModel."""
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 1_000, 0.5, candidate(registry, 1_000, 0.5))
    grown = held(1_100, 0.5)
    live = live_version(registry, "toy")
    assert live
    rows, scores = grown.measure(registry.directory("toy", 1), live.card)
    first = round(0.85 * 1_100)
    common, new = rows[rows < 1_000 - HORIZON + 1 - first], rows[rows >= 1_000 - first]
    assert len(common) + len(new) == len(rows) == len(grown.truth) - (HORIZON - 1)
    np.testing.assert_allclose(scores[: len(common)], grown.scores[common], atol=1e-6)
    naive = SCORES[METRIC](grown.truth, np.repeat(grown.inputs["history"][:, -1:], HORIZON, axis=1), grown.inputs)
    np.testing.assert_allclose(scores[len(common) :], naive[new], atol=1e-6)
    (test,) = candidate(registry, 1_100, 3.0).tests
    assert test.rows == len(rows) and test.published > test.candidate and not test.passed


def test_without_common_or_new_origins_the_figures_on_the_cards_are_compared(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 300, 0.5, candidate(registry, 300, 0.5))
    verdict = candidate(registry, 1_400, 0.7)
    assert not verdict.accepted and not verdict.tests
    assert "live version 1 has 0.5: a loss of at most 0.05 is allowed" in verdict.reasons[0]


@pytest.mark.parametrize("values", [np.zeros(200), np.resize([1.0, 2.0, 3.0], 200)])
def test_origins_of_a_series_that_repeats_are_never_taken_for_new(values: Array) -> None:
    origins = backtest.roll(values, 150, window=WINDOW, horizon=HORIZON, season=1)
    kept = KeptScores.of(origins.history, origins.truth, np.zeros(len(origins.truth)))
    known, _, new = kept.rows(origins.history)
    assert len(known) == len(origins.truth) and len(new) == 0


def test_long_series_have_common_origins_after_they_have_grown() -> None:
    before, after = (set(backtest.places(count, round(0.85 * count), 14).tolist()) for count in (18_000, 18_001))
    assert len(before & after) > 800
