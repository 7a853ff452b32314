"""Routing as a table: what is known, what is asked, which version answers."""

from collections.abc import Mapping

import pytest

from serving.gateway.errors import GatewayError, Unavailable, UnknownLabel, UnknownModel, UnknownVersion
from serving.gateway.route import ModelState, VersionStatus, Wanted, choose, default_version, effective_labels
from serving.gateway.servable import Servable
from serving.routing import Entry

ANY, STABLE, CANARY = Wanted(), Wanted(label="stable"), Wanted(label="canary")


def model(
    available: tuple[int, ...],
    labels: Mapping[str, int],
    last: Mapping[str, int] | None = None,
    problem: str | None = None,
    **states: str,
) -> ModelState:
    """A model with these AVAILABLE versions; ``v3="LOADING"`` is another version's state."""
    servables = {version: Servable("m", version, {}) for version in available}
    effective = effective_labels(labels, servables, last or {})
    known = {version: VersionStatus("AVAILABLE") for version in available}
    known |= {int(name[1:]): VersionStatus(state) for name, state in states.items()}
    return ModelState(
        "m", servables, known, labels, effective, default_version(Entry(), effective, servables), problem=problem
    )


@pytest.mark.parametrize(
    ("state", "wanted", "version"),
    [
        (model((1,), {}), ANY, 1),
        (model((1, 2, 3), {}), ANY, 3),
        (model((1, 2), {"stable": 1}), ANY, 1),
        (model((1, 2), {"stable": 1}), STABLE, 1),
        (model((1, 2), {"stable": 1, "canary": 2}), CANARY, 2),
        (model((1, 2), {"stable": 1}), Wanted(version=2), 2),
        # The label has moved on to a version that is still loading: the one before answers until then…
        (model((1,), {"stable": 2}, {"stable": 1}, v2="LOADING"), ANY, 1),
        (model((1,), {"stable": 2}, {"stable": 1}, v2="LOADING"), STABLE, 1),
        # … also where a newer one is there, and no longer once it has arrived.
        (model((1, 3), {"stable": 2}, {"stable": 1}), ANY, 1),
        (model((1, 2), {"stable": 2}, {"stable": 1}), ANY, 2),
        # Nothing that the label ever pointed to is there: the newest answers, but not by that label.
        (model((1, 3), {"stable": 2}), ANY, 3),
        (model((3,), {"stable": 2}, {"stable": 1}), ANY, 3),
        # The model server cannot be asked; what it had may still answer.
        (model((1,), {"stable": 1}, problem="gone"), ANY, 1),
    ],
)
def test_who_answers(state: ModelState, wanted: Wanted, version: int) -> None:
    assert choose({"m": state}, "m", wanted).version == version


@pytest.mark.parametrize(
    ("state", "wanted", "error", "words"),
    [
        (model((1, 2), {}), Wanted(version=3), UnknownVersion, "available: 1, 2"),
        (model((2,), {}, v1="END"), Wanted(version=1), UnknownVersion, "available: 2"),
        (model((1,), {}, v2="LOADING"), Wanted(version=2), Unavailable, "LOADING"),
        (model((1,), {"stable": 1}), CANARY, UnknownLabel, "stable"),
        (model((1,), {"stable": 2}, v2="LOADING"), STABLE, Unavailable, "LOADING"),
        (model((1,), {"stable": 2}), STABLE, UnknownVersion, "available: 1"),
        (model((), {"stable": 1}), ANY, Unavailable, "AVAILABLE"),
        (model((), {}, problem="it is down"), ANY, Unavailable, "it is down"),
        (model((), {}, problem="it is down"), Wanted(version=1), Unavailable, "it is down"),
    ],
)
def test_nobody_answers(state: ModelState, wanted: Wanted, error: type[GatewayError], words: str) -> None:
    with pytest.raises(error, match=words):
        choose({"m": state}, "m", wanted)


def test_an_unknown_model_is_told_which_there_are() -> None:
    with pytest.raises(UnknownModel, match=r"there is m$"):
        choose({"m": model((1,), {})}, "n", ANY)
    with pytest.raises(UnknownModel, match="none yet"):
        choose({}, "n", ANY)
