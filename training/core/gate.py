"""The publish gate: pure functions that judge a candidate before the fit, and by its metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.artifacts.model_card import Check, Data, ModelCard, PairedTest, Verdict
from serving.artifacts.registry import ModelRegistry

#: ``Data.licence`` of data that the user has brought.
OWN_LICENCE = "the user's own"


@dataclass(frozen=True)
class GatePolicy:
    """Requirements of a job's metric.

    Attributes:
        metric: the metric to judge.
        higher_is_better: direction of the metric.
        bound: worst accepted value on the real data; not applied to stand-in data.
        largest_loss: largest accepted loss against the live version, if the rows are enough to tell it.
        smallest_gain: smallest accepted gain over the live version; excludes ``largest_loss``.
    """

    metric: str
    higher_is_better: bool = True
    bound: float | None = None
    largest_loss: float = 0.0
    smallest_gain: float = 0.0

    def gain(self, value: float, over: float) -> float:
        """Return the gain of ``value`` over ``over``; negative if worse."""
        return value - over if self.higher_is_better else over - value


@dataclass(frozen=True)
class LiveVersion:
    """The version that serves requests now, and its card."""

    version: int
    card: ModelCard


def live_version(registry: ModelRegistry, model: str) -> LiveVersion | None:
    """Return a model's live version. None without one.

    Raises:
        ModelCardError: its card is missing or invalid.
    """
    number = registry.live(model)
    return LiveVersion(number, registry.card(model, number)) if number is not None else None


@dataclass(frozen=True)
class OnGateRows:
    """A candidate and published versions, measured on the same rows.

    Attributes:
        rows: number and part of the rows.
        count: their number.
        value: the candidate's metric.
        tests: against the live version and the best one.
        unmeasured: reasons why a version could not be measured, by version.
    """

    rows: str
    count: int
    value: float
    tests: tuple[PairedTest, ...] = ()
    unmeasured: Mapping[int, str] = field(default_factory=dict)


@dataclass
class _Reasons:
    objections: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, sentence: str, *, accepted: bool) -> None:
        (self.findings if accepted else self.objections).append(sentence)


def of_options(live: LiveVersion, *, quick: bool, stand_in: bool, own_data: bool = False) -> list[str]:
    """Return the objections to a candidate that its options alone cause.

    Args:
        live: the version to compare with.
        quick: the candidate comes from a shortened run.
        stand_in: its data is a stand-in.
        own_data: its data is the user's own.
    """
    objections = []
    if own_data and live.card.data.licence != OWN_LICENCE:
        objections.append(
            f"measured on your own data, live version {live.version} on {live.card.data.name}: "
            "the figures cannot be compared"
        )
    if quick and not live.card.training.quick:
        objections.append(f"a quick run may not replace live version {live.version}, which had its full recipe")
    if stand_in and not live.card.data.stand_in:
        objections.append(f"trained on stand-in data; live version {live.version} is on real data")
    return objections


def before_fit(data: Data, labels: Sequence[str], live: LiveVersion, *, quick: bool) -> list[str]:
    """Return the objections to a candidate that do not depend on its metrics.

    Args:
        data: the candidate's training data.
        labels: its class names.
        live: the version to compare with.
        quick: the candidate comes from a shortened run.
    """
    objections = of_options(live, quick=quick, stand_in=bool(data.stand_in))
    if bool(data.stand_in) != bool(live.card.data.stand_in):
        return objections
    if data.name != live.card.data.name:
        objections.append(
            f"measured on {data.name}, live version {live.version} on {live.card.data.name}: "
            "the figures cannot be compared"
        )
    elif set(labels) != set(live.card.labels):
        objections.append(
            f"the classes are {', '.join(labels)}; those of live version {live.version} are "
            f"{', '.join(live.card.labels)}: the figures cannot be compared"
        )
    return objections


def comparable(live: LiveVersion, data: Data, labels: Sequence[str], *, quick: bool) -> bool:
    """Whether the live version can be measured on the candidate's rows."""
    return bool(live.card.data.stand_in) == bool(data.stand_in) and not before_fit(data, labels, live, quick=quick)


def judge(
    metrics: Mapping[str, float],
    data: Data,
    policy: GatePolicy,
    live: LiveVersion | None,
    *,
    labels: Sequence[str] = (),
    quick: bool = False,
    checks: Sequence[Check] = (),
    on_rows: OnGateRows | None = None,
) -> Verdict:
    """Accept or refuse a candidate, with reasons.

    Args:
        metrics: the candidate's metrics.
        data: its training data.
        policy: the job's requirements.
        live: the version to compare with; None for the first version.
        labels: the candidate's class names.
        quick: the candidate comes from a shortened run.
        checks: further figures with a bound; like the metric's, it is for full runs on the real data.
        on_rows: the metric on the rows of the gate, which replaces the one in ``metrics``, and paired tests.
    """
    value = on_rows.value if on_rows else metrics.get(policy.metric)
    if value is None or value != value:
        return Verdict(accepted=False, reasons=(f"{policy.metric} was not measured",))
    reasons = _Reasons()
    _check_bound(value, data, policy, reasons, quick=quick, rows=f" on {on_rows.rows}" if on_rows else "")
    for check in checks:
        reasons.add(str(check), accepted=check.passed or quick or bool(data.stand_in))
    if live is None:
        reasons.add("there is no live version to compare with", accepted=True)
    elif objections := before_fit(data, labels, live, quick=quick):
        reasons.objections.extend(objections)
    elif live.card.data.stand_in and not data.stand_in:
        reasons.add(f"live version {live.version} is on stand-in data", accepted=True)
    elif on_rows and not policy.smallest_gain:
        _add_tests(policy, live, on_rows, metrics, reasons)
    else:
        _compare(value, policy, live, reasons)
    return Verdict(
        accepted=not reasons.objections,
        compared_with=live.version if live else None,
        rows=on_rows.rows if on_rows else None,
        value=on_rows.value if on_rows else None,
        tests=on_rows.tests if on_rows else (),
        checks=tuple(checks),
        reasons=tuple(reasons.objections or reasons.findings),
    )


def _shown(value: float) -> str:
    """Format a metric. What differs from 0 by rounding alone is 0."""
    return f"{value:.4g}" if abs(value) >= 1e-12 else "0"


def _check_bound(
    value: float, data: Data, policy: GatePolicy, reasons: _Reasons, *, quick: bool, rows: str = ""
) -> None:
    if policy.bound is None:
        return
    required = f"{'at least' if policy.higher_is_better else 'at most'} {policy.bound:.4g} is required"
    if data.stand_in:
        reasons.add(f"{policy.metric} is {_shown(value)} on stand-in data; {required} on the real data", accepted=True)
    elif quick:
        reasons.add(f"{policy.metric} is {_shown(value)} after a quick run; {required} after a full one", accepted=True)
    else:
        reached = policy.gain(value, policy.bound) >= 0
        reasons.add(f"{policy.metric} is {_shown(value)}{rows}; {required}", accepted=reached)


def _add_tests(
    policy: GatePolicy, live: LiveVersion, on_rows: OnGateRows, metrics: Mapping[str, float], reasons: _Reasons
) -> None:
    """Add the results of the paired tests; compare the figures on the cards if the live version was not measured."""
    for test in on_rows.tests:
        version = f"live version {test.version}" if test.live else f"version {test.version}, the best on these rows,"
        change = f"a loss of {_shown(test.loss)}" if test.loss > 0 else f"a gain of {_shown(-test.loss)}"
        margin = f"the margin is {test.margin:.4g}"
        if test.margin > policy.largest_loss:
            margin += f" because the rows are too few for the job's {policy.largest_loss:.4g}"
        if test.loss > test.margin:
            margin += f"; p = {test.p_value:.2g} by {test.test}, {test.level:.2g} is the level"
            margin += "" if not test.passed else ", so chance explains the loss"
        common = f"{test.rows:,} of " if test.rows not in (None, on_rows.count) else ""
        sentence = (
            f"{policy.metric} is {_shown(test.candidate)} on {common}{on_rows.rows}, {version} has "
            f"{_shown(test.published)}: {change}; {margin}"
        )
        reasons.add(sentence, accepted=test.passed)
    for number, why in on_rows.unmeasured.items():
        reasons.add(f"version {number} cannot be measured on {on_rows.rows}: {why}", accepted=True)
    if live.version in on_rows.unmeasured:
        _compare(metrics.get(policy.metric, on_rows.value), policy, live, reasons)


def _compare(value: float, policy: GatePolicy, live: LiveVersion, reasons: _Reasons) -> None:
    before = live.card.metrics.get(policy.metric)
    if before is None:
        reasons.add(f"live version {live.version} has no {policy.metric}", accepted=True)
    else:
        gain = policy.gain(value, before)
        sentence = f"{policy.metric} is {_shown(value)}, live version {live.version} has {_shown(before)}"
        if policy.smallest_gain and gain < policy.smallest_gain:
            reasons.add(f"{sentence}: a gain of at least {policy.smallest_gain:.4g} is required", accepted=False)
        elif gain < -policy.largest_loss:
            reasons.add(f"{sentence}: a loss of at most {policy.largest_loss:.4g} is allowed", accepted=False)
        else:
            reasons.add(sentence, accepted=True)
