"""Choice of the model version that answers a request: pure functions over the state of a model.

- ``/versions/N`` chooses version N.
- ``/labels/L`` chooses the version that ``models.config`` gives label L, once it is AVAILABLE; until then, the version
  before.
- Any other path chooses by :mod:`serving.artifacts.routing_file`: the canary for its share of the requests, otherwise
  the live version, which is the label ``stable`` by default. If the live version is not AVAILABLE, the first AVAILABLE
  fallback answers, then the newest AVAILABLE version.

The gateway names a version number in every call to the model server, so the version of a response is certain.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from serving.artifacts.routing_file import Canary, RoutingEntry, Shadow
from serving.gateway.backends.base import VersionStatus
from serving.gateway.errors import (
    Unavailable,
    Unimplemented,
    UnknownLabel,
    UnknownModel,
    UnknownVersion,
    listed,
)
from serving.gateway.models.model_version import ModelVersion

_NOT_YET = frozenset({"UNKNOWN", "START", "LOADING", "AVAILABLE"})  # AVAILABLE: signatures not fetched yet


@dataclass(frozen=True)
class VersionChoice:
    """Version or label in a request's path, or neither."""

    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Share:
    """An AVAILABLE version and ``percent`` of the requests. ``sticky`` says what identifies a caller."""

    version: int
    percent: float
    sticky: str | None = None


#: Position of a request from 0 to below 100. A sticky share gives the same caller the same position.
Draw = Callable[[str, Share], float]


@dataclass(frozen=True)
class ModelState:
    """State of one model at one moment.

    Attributes:
        name: the model's name.
        versions: AVAILABLE versions whose signatures are known.
        states: every version that the model server reports.
        labels: labels of models.config.
        effective: version of ``versions`` for each label; labels without one are left out.
        default: version for requests that name none.
        canary: version that answers a share of those requests.
        shadow: version that gets a copy of a share of those requests.
        problem: why the model server cannot report the model.
    """

    name: str
    versions: Mapping[int, ModelVersion] = field(default_factory=dict)
    states: Mapping[int, VersionStatus] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    effective: Mapping[str, int] = field(default_factory=dict)
    default: int | None = None
    canary: Share | None = None
    shadow: Share | None = None
    problem: str | None = None


def effective_labels(
    labels: Mapping[str, int], available: Collection[int], last: Mapping[str, int], unreadable: Collection[int] = ()
) -> dict[str, int]:
    """The version of each label: its own if AVAILABLE, otherwise its last one. A label without either is left out.

    The last one also stays while the card of the label's own version is ``unreadable``.
    """
    chosen = {}
    for label, version in labels.items():
        before = last.get(label)
        if version in available and (version not in unreadable or before not in available):
            chosen[label] = version
        elif before is not None and before in available:
            chosen[label] = before
    return chosen


def default_version(
    entry: RoutingEntry, effective: Mapping[str, int], available: Collection[int], unreadable: Collection[int] = ()
) -> int | None:
    """The version for requests that name none. Without labels it is the newest, if possible with a readable card."""
    for version in (entry.live, *entry.fallback):
        number = _number(version, effective)
        if number in available:
            return number
    return max(available, key=lambda number: (number not in unreadable, number), default=None)


def routing_problems(
    entry: RoutingEntry, effective: Mapping[str, int], available: Collection[int]
) -> dict[str, str | None]:
    """Why a live version, canary or shadow in routing.json gets no request; None if it gets some."""
    parts = {"canary": entry.canary, "shadow": entry.shadow}
    named = {part: setting.version for part, setting in parts.items() if setting is not None}
    if entry.live != RoutingEntry().live:  # before the first promotion the default names no version
        named["live version"] = entry.live
    return {
        part: f"{named[part]!r} in routing.json is not AVAILABLE, so no request goes to it"
        if part in named and _number(named[part], effective) not in available
        else None
        for part in (*parts, "live version")
    }


def share(
    setting: Canary | Shadow | None, effective: Mapping[str, int], available: Collection[int], default: int | None
) -> Share | None:
    """The share of a canary or shadow; None if its version is not AVAILABLE or answers by default."""
    if setting is None:
        return None
    number = _number(setting.version, effective)
    if number is None or number not in available or number == default or not setting.percent:
        return None
    return Share(number, setting.percent, setting.sticky if isinstance(setting, Canary) else None)


def _number(version: int | str, effective: Mapping[str, int]) -> int | None:
    return effective.get(version) if isinstance(version, str) else version


def point(model: str, share: Share, caller: bytes) -> float:
    """Position of a caller from 0 to below 100.

    The position does not depend on the percentage: a growing share keeps its callers. It depends on the version, so
    that other callers come first each time.
    """
    hashed = hashlib.blake2b(caller, digest_size=6, key=f"{share.version} {model}".encode()[:64])
    return int.from_bytes(hashed.digest(), "big") / 2**48 * 100


def choose(
    models: Mapping[str, ModelState], name: str, choice: VersionChoice, draw: Draw | None = None
) -> ModelVersion:
    """The version that answers. Without ``draw`` the canary gets no request.

    Raises:
        UnknownModel, UnknownVersion, UnknownLabel: it does not exist; the message lists what exists.
        Unavailable: it is loading, or the model server cannot be reached.
        Unimplemented: the model server cannot serve it.
    """
    state = models.get(name)
    if state is None:
        raise UnknownModel(f"there is no model {name!r}; there is {listed(models, 'none yet')}")
    number = _chosen_number(state, choice, draw)
    version = state.versions.get(number)
    if version is not None:
        return version
    if state.problem is not None:
        raise Unavailable(f"model {name} cannot answer: {state.problem}")
    status = state.states.get(number)
    if status is not None and status.state in _NOT_YET:
        raise Unavailable(f"version {number} of model {name} is not ready yet ({status.state}); try again")
    _check_supported(name, number, status)
    raise UnknownVersion(f"model {name} has no version {number}; available: {listed(sorted(state.versions))}")


def _chosen_number(state: ModelState, choice: VersionChoice, draw: Draw | None) -> int:
    if choice.version is not None:
        return choice.version
    if choice.label is not None:
        if choice.label not in state.labels:
            raise UnknownLabel(
                f"Unrecognized servable version label: {choice.label}; model {state.name} has {listed(state.labels)}"
            )
        return state.effective.get(choice.label, state.labels[choice.label])
    if state.default is None:
        for number, status in state.states.items():
            _check_supported(state.name, number, status)
        reason = state.problem or "none of its versions is AVAILABLE yet"
        raise Unavailable(f"model {state.name} cannot answer: {reason}")
    canary = state.canary
    if canary is not None and draw is not None and draw(state.name, canary) < canary.percent:
        return canary.version
    return state.default


def _check_supported(model: str, number: int, status: VersionStatus | None) -> None:
    if status is not None and status.state == "END" and status.error_code == "UNIMPLEMENTED":
        raise Unimplemented(f"version {number} of model {model} cannot be served: {status.error_message}")
