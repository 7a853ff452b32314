"""Which version answers: pure functions over what is known of a model.

- ``/versions/N`` means N.
- ``/labels/L`` means the version that ``models.config`` gives L, once it is AVAILABLE; until then, the one before.
- Neither means the label ``stable``, read in the same way; where that points nowhere, the newest AVAILABLE version.

The gateway always names a version number to the model server, so an answer's version is never a guess.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from serving.gateway.errors import Unavailable, UnknownLabel, UnknownModel, UnknownVersion, listed
from serving.gateway.servable import Servable

STABLE = "stable"
_NOT_YET = frozenset({"UNKNOWN", "START", "LOADING", "AVAILABLE"})  # AVAILABLE, but not learnt


@dataclass(frozen=True)
class Wanted:
    """What a path asks for: a version, a label, or neither."""

    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class VersionStatus:
    """One version's state by its name (``AVAILABLE``, ``LOADING``…), and the error that put it there."""

    state: str
    error_code: str = "OK"
    error_message: str = ""


@dataclass(frozen=True)
class ModelState:
    """What is known of one model at one moment.

    ``servables`` are the AVAILABLE versions whose signatures have been learnt; ``states`` every version that the model
    server spoke of; ``labels`` what models.config says; ``effective`` where the labels point among the servables;
    ``default`` the version for requests that name none; ``problem`` why the model server could not be asked.
    """

    name: str
    servables: Mapping[int, Servable] = field(default_factory=dict)
    states: Mapping[int, VersionStatus] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    effective: Mapping[str, int] = field(default_factory=dict)
    default: int | None = None
    problem: str | None = None


def effective_labels(labels: Mapping[str, int], available: Collection[int], last: Mapping[str, int]) -> dict[str, int]:
    """Where each label points: its version if AVAILABLE, else where it pointed last if that is; else it is left out."""
    chosen = {label: version if version in available else last.get(label) for label, version in labels.items()}
    return {label: version for label, version in chosen.items() if version is not None and version in available}


def default_version(effective: Mapping[str, int], available: Collection[int]) -> int | None:
    """The version for requests that name none."""
    return effective.get(STABLE, max(available, default=None))


def choose(models: Mapping[str, ModelState], name: str, wanted: Wanted) -> Servable:
    """The servable that answers.

    Raises:
        UnknownModel, UnknownVersion, UnknownLabel: there is none; the message says which there are.
        Unavailable: there may be one soon: it is loading, or the model server cannot be reached.
    """
    state = models.get(name)
    if state is None:
        raise UnknownModel(f"there is no model {name!r}; there is {listed(models, 'none yet')}")
    version = _version(state, wanted)
    servable = state.servables.get(version)
    if servable is not None:
        return servable
    if state.problem is not None:
        raise Unavailable(f"model {name} cannot be asked: {state.problem}")
    status = state.states.get(version)
    if status is not None and status.state in _NOT_YET:
        raise Unavailable(f"version {version} of model {name} is not ready yet ({status.state}); try again")
    raise UnknownVersion(f"model {name} has no version {version}; available: {listed(sorted(state.servables))}")


def _version(state: ModelState, wanted: Wanted) -> int:
    if wanted.version is not None:
        return wanted.version
    if wanted.label is not None:
        if wanted.label not in state.labels:
            raise UnknownLabel(f"model {state.name} has no label {wanted.label!r}; it has {listed(state.labels)}")
        return state.effective.get(wanted.label, state.labels[wanted.label])
    if state.default is None:
        why = state.problem or "none of its versions is AVAILABLE yet"
        raise Unavailable(f"model {state.name} cannot answer: {why}")
    return state.default
