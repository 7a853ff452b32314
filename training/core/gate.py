"""The gate: may this version follow the live one? A pure function over figures, so that it can be read and tested."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.artifacts.model_card import Data, ModelCard, Verdict


@dataclass(frozen=True)
class GatePolicy:
    """What a job must reach: ``bound``, at least or at most, on the real data (a stand-in is another task).

    ``largest_loss`` is how much worse than the live version a candidate may be, ``smallest_gain`` how much better it
    must be; at most one of them is not 0.
    """

    metric: str
    higher_is_better: bool = True
    bound: float | None = None
    largest_loss: float = 0.0
    smallest_gain: float = 0.0


@dataclass(frozen=True)
class LiveVersion:
    """The version that answers now."""

    version: int
    card: ModelCard


def judge(
    metrics: Mapping[str, float], data: Data, policy: GatePolicy, live: LiveVersion | None, *, quick: bool = False
) -> Verdict:
    """Accept or refuse, always with reasons that a person can act on; ``quick`` is a shortened run."""
    value = metrics.get(policy.metric)
    if value is None or value != value:
        return Verdict(accepted=False, reasons=(f"{policy.metric} was not measured",))
    better = (lambda a, b: a - b) if policy.higher_is_better else (lambda a, b: b - a)
    objections, findings = [], []
    if policy.bound is not None:
        relation = "at least" if policy.higher_is_better else "at most"
        asked = f"{relation} {policy.bound:.4g} is asked"
        if data.stand_in:
            findings.append(f"{policy.metric} is {value:.4g} on stand-in data; {asked} on the real")
        else:
            reached = better(value, policy.bound) >= 0
            (findings if reached else objections).append(f"{policy.metric} is {value:.4g}; {asked}")
    if live is None:
        findings.append("there is no live version to compare with")
    else:
        before = live.card.metrics.get(policy.metric)
        if quick and not live.card.training.quick:
            objections.append(f"a quick run may not follow live version {live.version}, which had its full recipe")
        if data.stand_in and not live.card.data.stand_in:
            objections.append(
                f"trained on stand-in data ({data.stand_in}); live version {live.version} is on real data"
            )
        elif data.name != live.card.data.name:
            objections.append(
                f"measured on {data.name}, live version {live.version} on {live.card.data.name}: "
                "the figures cannot be compared"
            )
        elif before is None:
            findings.append(f"live version {live.version} has no {policy.metric}")
        else:
            gain = better(value, before)
            sentence = f"{policy.metric} is {value:.4g}, live version {live.version} has {before:.4g}"
            if policy.smallest_gain and gain < policy.smallest_gain:
                objections.append(f"{sentence}: a gain of at least {policy.smallest_gain:.4g} is asked")
            elif gain < -policy.largest_loss:
                objections.append(f"{sentence}: a loss of at most {policy.largest_loss:.4g} is allowed")
            else:
                findings.append(sentence)
    compared = live.version if live else None
    if objections:
        return Verdict(accepted=False, compared_with=compared, reasons=tuple(objections))
    return Verdict(accepted=True, compared_with=compared, reasons=tuple(findings))
