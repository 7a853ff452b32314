"""Routing as a table: state of a model, choice of the request, version that answers."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.artifacts.routing_file import Canary, RoutingEntry, Shadow
from serving.gateway.errors import GatewayError, Unavailable, Unimplemented, UnknownLabel, UnknownModel, UnknownVersion
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import (
    ModelState,
    Share,
    VersionChoice,
    VersionStatus,
    choose,
    default_version,
    effective_labels,
    point,
    routing_problems,
    share,
)

ANY, STABLE, CANARY = VersionChoice(), VersionChoice(label="stable"), VersionChoice(label="canary")


def model(
    available: tuple[int, ...],
    labels: Mapping[str, int],
    last: Mapping[str, int] | None = None,
    problem: str | None = None,
    **states: str,
) -> ModelState:
    """A model with these AVAILABLE versions; ``v3="LOADING"`` is another version's state."""
    versions = {version: ModelVersion("m", version, {}) for version in available}
    effective = effective_labels(labels, versions, last or {})
    known = {version: VersionStatus("AVAILABLE") for version in available}
    known |= {int(name[1:]): VersionStatus(state) for name, state in states.items()}
    return ModelState(
        "m", versions, known, labels, effective, default_version(RoutingEntry(), effective, versions), problem=problem
    )


@pytest.mark.parametrize(
    ("state", "choice", "version"),
    [
        (model((1,), {}), ANY, 1),
        (model((1, 2, 3), {}), ANY, 3),
        (model((1, 2), {"stable": 1}), ANY, 1),
        (model((1, 2), {"stable": 1}), STABLE, 1),
        (model((1, 2), {"stable": 1, "canary": 2}), CANARY, 2),
        (model((1, 2), {"stable": 1}), VersionChoice(version=2), 2),
        # The label has moved to a version that is still loading: the previous one answers
        (model((1,), {"stable": 2}, {"stable": 1}, v2="LOADING"), ANY, 1),
        (model((1,), {"stable": 2}, {"stable": 1}, v2="LOADING"), STABLE, 1),
        # even if a newer one is AVAILABLE, until the version is loaded.
        (model((1, 3), {"stable": 2}, {"stable": 1}), ANY, 1),
        (model((1, 2), {"stable": 2}, {"stable": 1}), ANY, 2),
        # No version of the label is AVAILABLE: the newest answers requests without a label.
        (model((1, 3), {"stable": 2}), ANY, 3),
        (model((3,), {"stable": 2}, {"stable": 1}), ANY, 3),
        # The model server cannot be reached: the last known versions answer.
        (model((1,), {"stable": 1}, problem="gone"), ANY, 1),
    ],
)
def test_version_that_answers(state: ModelState, choice: VersionChoice, version: int) -> None:
    assert choose({"m": state}, "m", choice).version == version


@pytest.mark.parametrize(
    ("state", "choice", "error", "words"),
    [
        (model((1, 2), {}), VersionChoice(version=3), UnknownVersion, "available: 1, 2"),
        (model((2,), {}, v1="END"), VersionChoice(version=1), UnknownVersion, "available: 2"),
        (model((1,), {}, v2="LOADING"), VersionChoice(version=2), Unavailable, "LOADING"),
        (model((1,), {"stable": 1}), CANARY, UnknownLabel, "stable"),
        (model((1,), {"stable": 2}, v2="LOADING"), STABLE, Unavailable, "LOADING"),
        (model((1,), {"stable": 2}), STABLE, UnknownVersion, "available: 1"),
        (model((), {"stable": 1}), ANY, Unavailable, "AVAILABLE"),
        (model((), {}, problem="it is down"), ANY, Unavailable, "it is down"),
        (model((), {}, problem="it is down"), VersionChoice(version=1), Unavailable, "it is down"),
    ],
)
def test_no_version_answers(state: ModelState, choice: VersionChoice, error: type[GatewayError], words: str) -> None:
    with pytest.raises(error, match=words):
        choose({"m": state}, "m", choice)


def test_a_version_that_the_model_server_cannot_serve() -> None:
    status = VersionStatus("END", "UNIMPLEMENTED", "it has no ONNX export")
    state = replace(model((), {}), states={1: status})
    for choice in (ANY, VersionChoice(version=1)):
        with pytest.raises(Unimplemented, match="version 1 of model m cannot be served: it has no ONNX export"):
            choose({"m": state}, "m", choice)


def test_errors_for_unknown_models_list_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"there is m$"):
        choose({"m": model((1,), {})}, "n", ANY)
    with pytest.raises(UnknownModel, match="none yet"):
        choose({}, "n", ANY)


@pytest.mark.parametrize(
    ("entry", "labels", "available", "default"),
    [
        (RoutingEntry(live=2), {"stable": 1}, (1, 2, 3), 2),
        (RoutingEntry(live="next"), {"stable": 1, "next": 3}, (1, 2, 3), 3),
        (RoutingEntry(live="next"), {"stable": 1}, (1, 2), 2),  # no version has this label: the newest answers
        (RoutingEntry(fallback=("previous", 2)), {"stable": 5, "previous": 4}, (1, 2, 3), 2),
        (RoutingEntry(fallback=("previous", 2)), {"stable": 5, "previous": 4}, (1, 2, 3, 4), 4),
        (RoutingEntry(fallback=(7,)), {"stable": 5}, (1, 2, 3), 3),
        (RoutingEntry(fallback=(7,)), {}, (), None),
    ],
)
def test_live_and_fallbacks(
    entry: RoutingEntry, labels: Mapping[str, int], available: tuple[int, ...], default: int | None
) -> None:
    assert default_version(entry, effective_labels(labels, available, {}), available) == default


@pytest.mark.parametrize(
    ("labels", "available", "unreadable", "default"),
    [
        ({"stable": 2}, (1, 2), (2,), 1),  # the last version of the label stays
        ({"stable": 2}, (2,), (2,), 2),  # there is no other
        ({"stable": 2}, (1, 2), (1, 2), 1),
        ({"stable": 2}, (1, 2), (), 2),
        ({}, (1, 2, 3), (3,), 2),
        ({}, (1, 2), (1, 2), 2),
    ],
)
def test_a_version_with_an_unreadable_card_does_not_replace_another(
    labels: Mapping[str, int], available: tuple[int, ...], unreadable: tuple[int, ...], default: int
) -> None:
    effective = effective_labels(labels, available, {"stable": 1}, unreadable)
    assert default_version(RoutingEntry(), effective, available, unreadable) == default


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, None),
        (Canary(version=2, percent=10, sticky="key"), Share(2, 10, "key")),
        (Canary(version="next", percent=10), Share(3, 10)),
        (Shadow(version=3), Share(3, 100)),
        (Canary(version=1, percent=10), None),  # the default version
        (Canary(version=2, percent=0), None),
        (Canary(version=4, percent=10), None),  # not AVAILABLE
        (Canary(version="unknown", percent=10), None),
    ],
)
def test_shares(setting: Canary | Shadow | None, expected: Share | None) -> None:
    assert share(setting, {"stable": 1, "next": 3}, (1, 2, 3), 1) == expected


def test_problems_of_routing_json() -> None:
    def wrong(**parts: object) -> list[str]:
        found = routing_problems(RoutingEntry.model_validate(parts), {"stable": 1, "next": 2}, {1, 2})
        return [f"{what} {why}" for what, why in found.items() if why is not None]

    assert wrong() == wrong(live=1, canary={"version": 2, "percent": 10}, shadow={"version": "next"}) == []
    (one,) = wrong(canary={"version": 9, "percent": 10})
    assert one == "canary 9 in routing.json is not AVAILABLE, so no request goes to it"
    (one,) = wrong(shadow={"version": "later"})
    assert one.startswith("shadow 'later'")
    assert len(wrong(live=3, canary={"version": 9, "percent": 10}, shadow={"version": 9})) == 3


def test_a_canary_answers_requests_below_its_share_without_a_version() -> None:
    state = replace(model((1, 2), {"stable": 1}), canary=Share(2, 10))
    for drawn, choice, version in ((9.9, ANY, 2), (10.0, ANY, 1), (0.0, STABLE, 1), (0.0, VersionChoice(version=1), 1)):
        assert choose({"m": state}, "m", choice, lambda name, canary, drawn=drawn: drawn).version == version
    assert choose({"m": state}, "m", ANY).version == 1


@given(st.binary(min_size=1), st.floats(0, 100), st.floats(0, 100), st.text(max_size=80), st.integers(1, 2**63 - 1))
def test_a_growing_canary_keeps_its_callers(caller: bytes, one: float, other: float, name: str, version: int) -> None:
    small, large = sorted((one, other))
    before = point(name, Share(version, small, "key"), caller) < small
    after = point(name, Share(version, large, "key"), caller) < large
    assert after or not before
    assert 0 <= point(name, Share(version, small), caller) < 100


@settings(max_examples=20)
@given(st.sampled_from((1, 5, 20, 50, 90)), st.integers(1, 1000), st.text(max_size=10))
def test_the_share_of_callers_equals_the_percentage(percent: int, version: int, salt: str) -> None:
    callers = 4000
    canary = Share(version, percent, "key")
    hit = sum(point("m", canary, f"{salt}{number}".encode()) < percent for number in range(callers))
    deviation = math.sqrt(callers * percent * (100 - percent)) / 100
    assert abs(hit - callers * percent / 100) < 6 * deviation


def test_another_version_gets_other_callers() -> None:
    callers = [f"caller-{number}".encode() for number in range(1000)]
    first, second = ({one for one in callers if point("m", Share(v, 10, "key"), one) < 10} for v in (2, 3))
    assert len(first & second) < 50
