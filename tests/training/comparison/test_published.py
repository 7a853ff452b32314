"""Published versions, measured again from their SavedModels."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import CardSignature, Data, DataPart, ModelCard, Tensor, Training, Verdict
from serving.artifacts.registry import ModelRegistry
from training.comparison import published
from training.comparison.held_out import SCORES_FILE, HeldOut
from training.comparison.scores import SCORES
from training.core import parts
from training.core.gate import GatePolicy, LiveVersion, judge, live_version

ROWS = 1_000
IMAGES = np.stack(np.divmod(np.arange(ROWS), 256), axis=1).astype(np.uint8)[..., None, None]
TRUTH = np.zeros(ROWS, np.int64)
PART = parts.described({"gate": (IMAGES, TRUTH)})["gate"]
POLICY = GatePolicy("test_accuracy", bound=0.5, largest_loss=0.01)
LABELS = ("cat", "dog")


class Toy(tf.Module):
    """Answers class 1 for the first ``wrong`` rows, else class 0."""

    def __init__(self, wrong: int, labels: tuple[str, ...] = LABELS) -> None:
        super().__init__()
        self.wrong, self.flip = wrong, labels != LABELS

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 1, 1), tf.uint8, "image")])
    def classify(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        index = tf.cast(image[:, 0, 0, 0], tf.int32) * 256 + tf.cast(image[:, 1, 0, 0], tf.int32)
        return {"probabilities": tf.one_hot(tf.cast(index < self.wrong, tf.int32) ^ int(self.flip), 2)}


def held(wrong: int, part: DataPart = PART) -> HeldOut:
    scores = SCORES["test_accuracy"](TRUTH, np.arange(ROWS) < wrong, {})
    return HeldOut("gate", "test_accuracy", LABELS, {"image": IMAGES}, TRUTH, scores, part)


def publish(registry: ModelRegistry, wrong: int, verdict: Verdict, labels: tuple[str, ...] = LABELS) -> int:
    image = Tensor(dtype="uint8", shape=(None, 2, 1, 1))
    card = ModelCard(
        model="toy",
        kind="image",
        title="toy",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=labels,
        signatures={"serving_default": CardSignature(inputs={"image": image}, outputs={})},
        data=Data(name="toys", source="test", licence="none", rows={"train": 1}, parts={"gate": PART}),
        training=Training(recipe={}, quick=False, seconds=1),
        metrics={"test_accuracy": 1 - wrong / ROWS},
        gate=verdict,
        parameters=1,
        trainable_parameters=1,
        versions={},
    )
    toy = Toy(wrong, labels)
    with registry.staging("toy") as directory:
        tf.saved_model.save(toy, str(directory), signatures={"serving_default": toy.classify})
        (directory / CARD_FILE).parent.mkdir(exist_ok=True)
        (directory / CARD_FILE).write_text(card.model_dump_json(), encoding="utf-8")
        version = registry.publish("toy", directory)
    registry.promote("toy", version)
    return version


def candidate(registry: ModelRegistry, wrong: int) -> Verdict:
    live = live_version(registry, "toy")
    results = published.on_gate_rows(held(wrong), POLICY, registry, "toy", live)
    data = Data(name="toys", source="test", licence="none", rows={"train": 1})
    return judge({}, data, POLICY, live, labels=LABELS, on_rows=results)


def test_small_losses_do_not_add_up(tmp_path: Path) -> None:
    """Each candidate is worse than the last one by less than the margin."""
    registry = ModelRegistry(tmp_path, settle=0)
    verdicts = []
    for step in range(6):
        verdict = candidate(registry, 8 * step)
        verdicts.append(verdict)
        if verdict.accepted:
            publish(registry, 8 * step, verdict)
    assert [verdict.accepted for verdict in verdicts] == [True, True, False, False, False, False]
    live, best = verdicts[2].tests
    assert live.live and live.version == 2 and live.passed
    assert not best.live and best.version == 1 and not best.passed
    assert verdicts[2].reasons == (
        "test_accuracy is 0.984 on 1,000 rows of the gate part, version 1, the best on these rows, has 1: "
        "a loss of 0.016; the margin is 0.01; p = 1.5e-05 by McNemar, 0.025 is the level",
    )


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 20, candidate(registry, 20), labels=("dog", "cat"))
    (test,) = candidate(registry, 20).tests
    assert test.published == 0.98 and test.loss == 0


def test_a_version_that_has_seen_the_rows_is_compared_by_its_kept_scores(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 0, candidate(registry, 0))
    live = live_version(registry, "toy")
    assert live
    refitted = live.card.model_copy(update={"training": live.card.training.model_copy(update={"refitted": True})})
    live = LiveVersion(live.version, refitted)
    results = published.on_gate_rows(held(5), POLICY, registry, "toy", live)
    assert results.tests == () and "fitted again on data that has these rows" in results.unmeasured[1]
    np.save(registry.directory("toy", 1) / SCORES_FILE, held(30).scores)
    (test,) = published.on_gate_rows(held(5), POLICY, registry, "toy", live).tests
    assert test.published == 0.97 and test.loss < 0


def test_other_inputs_are_a_reason(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 0, candidate(registry, 0))
    larger = held(0)
    larger = HeldOut(**{**vars(larger), "inputs": {"image": np.zeros((ROWS, 4, 4, 1), np.uint8)}})
    results = published.on_gate_rows(larger, POLICY, registry, "toy", live_version(registry, "toy"))
    assert results.unmeasured == {1: "it takes image of shape [2, 1, 1]; these rows have [4, 4, 1]"}


def test_the_best_version_with_other_classes_is_not_measured(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry, 0, candidate(registry, 0), labels=("cat", "cow"))
    publish(registry, 20, candidate(registry, 20).model_copy(update={"value": 0.98}))
    results = published.on_gate_rows(held(20), POLICY, registry, "toy", live_version(registry, "toy"))
    assert [test.version for test in results.tests] == [2]
    assert results.unmeasured == {1: "its classes are cat, cow"}
