"""Paired tests of a candidate against the live and the best published version."""

from serving.artifacts.model_card import ModelCard, ModelCardError, PairedTest
from serving.artifacts.registry import ModelRegistry
from training.comparison.held_out import FEWEST, HeldOut, NotMeasurable
from training.comparison.paired import compare
from training.core.gate import GatePolicy, LiveVersion, OnGateRows


def on_gate_rows(
    held: HeldOut, policy: GatePolicy, registry: ModelRegistry, model: str, live: LiveVersion | None
) -> OnGateRows:
    """Measure the live version on the rows, and the best version that was published on them; test both."""
    tests, unmeasured = [], {}
    if live:
        known = _known_gains(registry, model, held, policy)
        published = len(known.keys() | {live.version})
        best = min(known, key=lambda version: known[version], default=live.version)
        for version in dict.fromkeys((live.version, best)):
            card = live.card if version == live.version else registry.card(model, version)
            try:
                rows, scores = held.measure(registry.directory(model, version), card)
            except NotMeasurable as error:
                unmeasured[version] = str(error)
                continue
            own = held.scores[rows]
            gains = (own - scores) * (1 if policy.higher_is_better else -1)
            result = compare(gains, policy.largest_loss, published=published, horizon=held.horizon)
            tests.append(
                PairedTest(
                    version=version,
                    live=version == live.version,
                    test=result.test,
                    rows=len(rows),
                    candidate=float(own.mean()),
                    published=float(scores.mean()),
                    loss=-result.gain,
                    margin=result.margin,
                    p_value=result.p_value,
                    level=result.level,
                    missed=result.missed,
                )
            )
    part = "the test part" if held.name == "test" else f"the {held.name} part"
    count = len(held.truth)
    return OnGateRows(f"{count:,} rows of {part}", count, float(held.scores.mean()), tuple(tests), unmeasured)


def _known_gains(registry: ModelRegistry, model: str, held: HeldOut, policy: GatePolicy) -> dict[int, float]:
    """Return the candidate's gain over each version that was tested on these rows or some of them, without running it.

    The figure is on the version's card, or in the scores that it has kept.
    """
    gains = {}
    for version in registry.versions(model):
        try:
            card: ModelCard = registry.card(model, version)
        except ModelCardError:
            continue
        part = card.data.parts.get(held.name)
        if part and part.sha256 == held.described.sha256 and card.gate and card.gate.value is not None:
            gains[version] = policy.gain(float(held.scores.mean()), card.gate.value)
        elif held.horizon:
            rows, scores, _ = held.kept(registry.directory(model, version), card)
            if len(rows) >= FEWEST:
                gains[version] = policy.gain(float(held.scores[rows].mean()), float(scores.mean()))
    return gains
