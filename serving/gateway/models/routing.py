"""Which version answers: pure functions over what is known of a model.

- ``/versions/N`` means N.
- ``/labels/L`` means the version that ``models.config`` gives L, once it is AVAILABLE; until then, the one before.
- Neither means what :mod:`serving.artifacts.routing_file` says: the canary for its share of the requests, else the
  live version, by
  default the label ``stable``, read in the same way; where that points nowhere, the first AVAILABLE of the fallbacks;
  where there is none, the newest AVAILABLE version.

The gateway always names a version number to the model server, so an answer's version is never a guess.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from serving.artifacts.routing_file import Canary, RoutingEntry, Shadow
from serving.gateway.backends.base import VersionStatus
from serving.gateway.errors import Unavailable, UnknownLabel, UnknownModel, UnknownVersion, listed
from serving.gateway.models.model_version import ModelVersion

_NOT_YET = frozenset({"UNKNOWN", "START", "LOADING", "AVAILABLE"})  # AVAILABLE, but not learnt


@dataclass(frozen=True)
class VersionChoice:
    """What a path asks for: a version, a label, or neither."""

    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Share:
    """An AVAILABLE version, ``percent`` of the requests that it gets, and by what callers are known again."""

    version: int
    percent: float
    sticky: str | None = None


#: Where a request stands among all, from 0 to below 100: the same for the same caller where the share is sticky.
Draw = Callable[[str, Share], float]


@dataclass(frozen=True)
class ModelState:
    """What is known of one model at one moment.

    ``servables`` are the AVAILABLE versions whose signatures have been learnt; ``states`` every version that the model
    server spoke of; ``labels`` what models.config says; ``effective`` where the labels point among the servables;
    ``default`` the version for requests that name none; ``canary`` and ``shadow`` the versions that answer a share of
    those, or see a copy of a share of them; ``problem`` why the model server could not be asked.
    """

    name: str
    servables: Mapping[int, ModelVersion] = field(default_factory=dict)
    states: Mapping[int, VersionStatus] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    effective: Mapping[str, int] = field(default_factory=dict)
    default: int | None = None
    canary: Share | None = None
    shadow: Share | None = None
    problem: str | None = None


def effective_labels(labels: Mapping[str, int], available: Collection[int], last: Mapping[str, int]) -> dict[str, int]:
    """Where each label points: its version if AVAILABLE, else where it pointed last if that is; else it is left out."""
    chosen = {label: version if version in available else last.get(label) for label, version in labels.items()}
    return {label: version for label, version in chosen.items() if version is not None and version in available}


def default_version(entry: RoutingEntry, effective: Mapping[str, int], available: Collection[int]) -> int | None:
    """The version for requests that name none."""
    for version in (entry.live, *entry.fallback):
        number = _number(version, effective)
        if number in available:
            return number
    return max(available, default=None)


def not_there(entry: RoutingEntry, effective: Mapping[str, int], available: Collection[int]) -> dict[str, str | None]:
    """Why a live version, canary or shadow that routing.json names gets no request; None where nothing is wrong."""
    parts = {"canary": entry.canary, "shadow": entry.shadow}
    named = {what: part.version for what, part in parts.items() if part is not None}
    if entry.live != RoutingEntry().live:  # which goes without saying, also where no version has been promoted yet
        named["live version"] = entry.live
    return {
        what: f"{named[what]!r}, which routing.json names, is not AVAILABLE, so no request goes to it"
        if what in named and _number(named[what], effective) not in available
        else None
        for what in (*parts, "live version")
    }


def share(
    of: Canary | Shadow | None, effective: Mapping[str, int], available: Collection[int], default: int | None
) -> Share | None:
    """What a canary or shadow comes to now; None where its version is not AVAILABLE, or answers by default anyway."""
    if of is None:
        return None
    number = _number(of.version, effective)
    if number is None or number not in available or number == default or not of.percent:
        return None
    return Share(number, of.percent, of.sticky if isinstance(of, Canary) else None)


def _number(version: int | str, effective: Mapping[str, int]) -> int | None:
    return effective.get(version) if isinstance(version, str) else version


def point(model: str, share: Share, caller: bytes) -> float:
    """Where a caller stands among all, from 0 to below 100. It does not depend on the percentage, so that callers only
    join as that grows; it does on the version, so that not the same ones are first each time."""
    hashed = hashlib.blake2b(caller, digest_size=6, key=f"{share.version} {model}".encode()[:64])
    return int.from_bytes(hashed.digest(), "big") / 2**48 * 100


def choose(
    models: Mapping[str, ModelState], name: str, wanted: VersionChoice, draw: Draw | None = None
) -> ModelVersion:
    """The servable that answers. Without ``draw`` no canary does.

    Raises:
        UnknownModel, UnknownVersion, UnknownLabel: there is none; the message says which there are.
        Unavailable: there may be one soon: it is loading, or the model server cannot be reached.
    """
    state = models.get(name)
    if state is None:
        raise UnknownModel(f"there is no model {name!r}; there is {listed(models, 'none yet')}")
    version = _version(state, wanted, draw)
    servable = state.servables.get(version)
    if servable is not None:
        return servable
    if state.problem is not None:
        raise Unavailable(f"model {name} cannot be asked: {state.problem}")
    status = state.states.get(version)
    if status is not None and status.state in _NOT_YET:
        raise Unavailable(f"version {version} of model {name} is not ready yet ({status.state}); try again")
    raise UnknownVersion(f"model {name} has no version {version}; available: {listed(sorted(state.servables))}")


def _version(state: ModelState, wanted: VersionChoice, draw: Draw | None) -> int:
    if wanted.version is not None:
        return wanted.version
    if wanted.label is not None:
        if wanted.label not in state.labels:
            raise UnknownLabel(
                f"Unrecognized servable version label: {wanted.label}; model {state.name} has {listed(state.labels)}"
            )
        return state.effective.get(wanted.label, state.labels[wanted.label])
    if state.default is None:
        why = state.problem or "none of its versions is AVAILABLE yet"
        raise Unavailable(f"model {state.name} cannot answer: {why}")
    canary = state.canary
    if canary is not None and draw is not None and draw(state.name, canary) < canary.percent:
        return canary.version
    return state.default
