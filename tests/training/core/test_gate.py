"""The verdict of the gate, as a table of cases."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.artifacts.model_card import Check, Data, ModelCard, Training, parse
from training.core.catalogue import JOBS, find
from training.core.gate import GatePolicy, LiveVersion, before_fit, judge

DATA = Data(name="digits", source="test", licence="none", rows={"train": 1})
TOYS = DATA.model_copy(update={"stand_in": "toys"})
HIGH = GatePolicy("accuracy", bound=0.8, largest_loss=0.01)
LOW = GatePolicy("mae", higher_is_better=False, bound=2.0, largest_loss=0.1)
GAIN = GatePolicy("accuracy", smallest_gain=0.02)


def live(data: Data = DATA, **metrics: float) -> LiveVersion:
    card = ModelCard(
        model="m",
        kind="image",
        title="m",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        signatures={},
        data=data,
        training=Training(recipe={}, quick=False, seconds=1),
        metrics=metrics,
        parameters=1,
        trainable_parameters=1,
        versions={},
    )
    return LiveVersion(3, card)


@pytest.mark.parametrize(
    ("policy", "metrics", "data", "incumbent", "accepted", "reason"),
    [
        (HIGH, {"accuracy": 0.9}, DATA, None, True, "no live version"),
        (HIGH, {"accuracy": 0.79}, DATA, None, False, "at least 0.8 is required"),
        (HIGH, {"accuracy": 0.8}, DATA, None, True, "at least 0.8 is required"),
        (HIGH, {}, DATA, None, False, "was not measured"),
        (HIGH, {"accuracy": float("nan")}, DATA, None, False, "was not measured"),
        (HIGH, {"accuracy": 0.9}, DATA, live(accuracy=0.905), True, "version 3 has 0.905"),
        (HIGH, {"accuracy": 0.89}, DATA, live(accuracy=0.905), False, "a loss of at most 0.01"),
        (HIGH, {"accuracy": 0.95}, DATA, live(accuracy=0.9), True, "version 3 has 0.9"),
        (LOW, {"mae": 1.9}, DATA, None, True, "at most 2"),
        (LOW, {"mae": 2.1}, DATA, None, False, "at most 2"),
        (LOW, {"mae": 1.5}, DATA, live(mae=1.45), True, "version 3 has 1.45"),
        (LOW, {"mae": 1.6}, DATA, live(mae=1.45), False, "a loss of at most 0.1"),
        (GAIN, {"accuracy": 0.91}, DATA, live(accuracy=0.9), False, "a gain of at least 0.02"),
        (GAIN, {"accuracy": 0.93}, DATA, live(accuracy=0.9), True, "version 3 has 0.9"),
        (HIGH, {"accuracy": 0.9}, DATA, live(loss=1.0), True, "has no accuracy"),
        (HIGH, {"accuracy": 0.9}, DATA.model_copy(update={"name": "letters"}), live(accuracy=0.8), False, "compared"),
        (HIGH, {"accuracy": 0.9}, TOYS, live(accuracy=0.8), False, "stand-in"),
        (HIGH, {"accuracy": 0.8}, DATA, live(TOYS, accuracy=0.99), True, "live version 3 is on stand-in data"),
        (HIGH, {"accuracy": 0.1}, TOYS, None, True, "0.1 on stand-in data; at least 0.8 is required on the real data"),
        (HIGH, {"accuracy": 0.1}, TOYS, live(TOYS, accuracy=0.2), False, "a loss of at most 0.01"),
    ],
)
def test_verdict(
    policy: GatePolicy,
    metrics: dict[str, float],
    data: Data,
    incumbent: LiveVersion | None,
    accepted: bool,
    reason: str,
) -> None:
    verdict = judge(metrics, data, policy, incumbent)
    assert verdict.accepted is accepted
    assert any(reason in found for found in verdict.reasons), verdict.reasons
    assert verdict.compared_with == (3 if incumbent else None)


def test_a_quick_run_does_not_replace_a_full_one() -> None:
    verdict = judge({"accuracy": 0.95}, DATA, HIGH, live(accuracy=0.9), quick=True)
    assert not verdict.accepted and "a quick run may not replace live version 3" in verdict.reasons[0]
    assert judge({"accuracy": 0.95}, DATA, HIGH, None, quick=True).accepted
    assert judge({"accuracy": 0.1}, DATA, HIGH, None, quick=True).accepted, "the bound is for full runs"


def test_checks_take_part_in_full_runs_on_real_data() -> None:
    calibrated = Check(name="ece", value=0.03, bound=0.02, at_least=False, rows=500)
    verdict = judge({"accuracy": 0.9}, DATA, HIGH, None, checks=[calibrated])
    assert not verdict.accepted and verdict.checks == (calibrated,)
    assert verdict.reasons == ("ece is 0.03 on 500 rows; at most 0.02 is required",)
    passed = calibrated.model_copy(update={"value": 0.02})
    assert judge({"accuracy": 0.9}, DATA, HIGH, None, checks=[passed]).accepted
    assert judge({"accuracy": 0.9}, DATA, HIGH, None, checks=[calibrated], quick=True).accepted
    assert judge({"accuracy": 0.9}, TOYS, HIGH, None, checks=[calibrated]).accepted
    unmeasured = calibrated.model_copy(update={"value": float("nan")})
    assert not judge({"accuracy": 0.9}, DATA, HIGH, None, checks=[unmeasured]).accepted


def test_other_classes_are_refused_before_the_fit() -> None:
    card = live().card.model_copy(update={"labels": ("cat", "dog")})
    (objection,) = before_fit(DATA, ("cat", "hen"), LiveVersion(3, card), quick=False)
    assert "the classes are cat, hen; those of live version 3 are cat, dog" in objection
    assert before_fit(DATA, ("dog", "cat"), LiveVersion(3, card), quick=False) == []
    verdict = judge({"accuracy": 0.9}, DATA, HIGH, LiveVersion(3, card), labels=("cat", "hen"))
    assert not verdict.accepted and objection in verdict.reasons


@pytest.mark.parametrize("name", JOBS)
def test_the_policy_of_every_job(name: str) -> None:
    """Bound, margin and direction of the policy decide."""
    policy = find(name).policy
    lower_is_better = policy.metric.endswith(("loss", "mae", "mse", "roundings", "ratio"))
    assert policy.higher_is_better is not lower_is_better
    assert min(policy.largest_loss, policy.smallest_gain) == 0
    assert policy.bound is not None, "every job needs a worst accepted value"
    sign = 1 if policy.higher_is_better else -1
    margin = policy.smallest_gain - policy.largest_loss  # required gain; negative: allowed loss
    start = policy.bound
    before = start + sign * (abs(margin) + 1)

    def accepted(value: float, incumbent: LiveVersion | None = None) -> bool:
        return judge({policy.metric: value}, DATA, policy, incumbent).accepted

    table = [
        (before + sign * (margin + 1e-6), live(**{policy.metric: before}), True),
        (before + sign * (margin - 1e-6), live(**{policy.metric: before}), False),
        (start + sign * 1e-6, None, True),
        (start - sign * 1e-6, None, False),
        (float("nan"), None, False),
    ]
    assert [accepted(value, incumbent) for value, incumbent, _ in table] == [wanted for _, _, wanted in table]
    assert not judge({}, DATA, policy, None).accepted


@pytest.mark.parametrize("card", sorted(Path("exports").glob("*/*/assets.extra/card.json")), ids=lambda p: p.parts[-4])
def test_shipped_cards_have_their_gate_s_metric(card: Path) -> None:
    shipped = parse(card.read_bytes())
    assert find(str(shipped.training.recipe["job"])).policy.metric in shipped.metrics
