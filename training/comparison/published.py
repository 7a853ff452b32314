"""Paired tests of a candidate against the live and the best published version."""

from serving.artifacts.model_card import ModelCard, ModelCardError, PairedTest
from serving.artifacts.registry import ModelRegistry
from training.comparison.held_out import HeldOut, NotMeasurable
from training.comparison.paired import compare
from training.core.gate import GatePolicy, LiveVersion, OnGateRows


def on_gate_rows(
    held: HeldOut, policy: GatePolicy, registry: ModelRegistry, model: str, live: LiveVersion | None
) -> OnGateRows:
    """Measure the live version on the rows, and the best version that was published on them; test both."""
    tests, unmeasured = [], {}
    if live:
        known = _values_on_cards(registry, model, held)
        published = len(known.keys() | {live.version})
        best = max(known, key=lambda version: policy.gain(known[version], 0), default=live.version)
        for version in dict.fromkeys((live.version, best)):
            card = live.card if version == live.version else registry.card(model, version)
            try:
                scores = held.measure(registry.directory(model, version), card)
            except NotMeasurable as error:
                unmeasured[version] = str(error)
                continue
            gains = (held.scores - scores) * (1 if policy.higher_is_better else -1)
            result = compare(gains, policy.largest_loss, published=published, in_time=held.in_time)
            tests.append(
                PairedTest(
                    version=version,
                    live=version == live.version,
                    test=result.test,
                    candidate=float(held.scores.mean()),
                    published=float(scores.mean()),
                    loss=-result.gain,
                    margin=result.margin,
                    p_value=result.p_value,
                    level=result.level,
                    missed=result.missed,
                )
            )
    part = "the test part" if held.name == "test" else f"the {held.name} part"
    return OnGateRows(f"{len(held.truth):,} rows of {part}", float(held.scores.mean()), tuple(tests), unmeasured)


def _values_on_cards(registry: ModelRegistry, model: str, held: HeldOut) -> dict[int, float]:
    """Return the metric of each version that was published on these rows, from its card."""
    values = {}
    for version in registry.versions(model):
        try:
            card: ModelCard = registry.card(model, version)
        except ModelCardError:
            continue
        part = card.data.parts.get(held.name)
        if part and part.sha256 == held.described.sha256 and card.gate and card.gate.value is not None:
            values[version] = card.gate.value
    return values
