"""Which version answers, step by step: a canary's share, a shadow, promotion, and the way back.

Labels stand in models.config, by which the model server has the versions loaded; shares stand in routing.json. A
gateway looks at both every second (``--poll-seconds``).
"""

from dataclasses import dataclass

from pydantic import ValidationError

from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError
from serving.artifacts.routing_file import Canary, RoutingEntry, RoutingError, Shadow

CANARY = "canary"
SHADOW = "shadow"


@dataclass(frozen=True)
class Moved:
    """What a step did: the label now names ``version`` and named ``before``; ``ended`` is a version that is no longer
    canary or shadow."""

    version: int
    before: int | None
    ended: int | None = None


def canary(store: ModelRegistry, model: str, version: int, percent: float, sticky: str | None = None) -> None:
    """Has the version answer that share of the requests that name no version, in place of any canary before.

    Raises:
        RegistryError: there is no such version, it is not whole, or it is live already.
        RoutingError: a share or stickiness that cannot be, or routing.json is not valid.
    """
    made = _part(Canary, version=version, percent=percent, sticky=sticky)
    _load(store, model, version, CANARY)
    _update(store, model, canary=made)


def shadow(store: ModelRegistry, model: str, version: int, percent: float) -> None:
    """Has the version see a copy of that share of the requests that name no version.

    Raises:
        StoreError, RoutingError: as :func:`canary`.
    """
    made = _part(Shadow, version=version, percent=percent)
    _load(store, model, version, SHADOW)
    _update(store, model, shadow=made)


def off(store: ModelRegistry, model: str, what: str) -> None:
    """Ends a model's canary or shadow, or what an interrupted command left of one.

    Raises:
        RegistryError: it has none. RoutingError: routing.json is not valid.
    """
    if getattr(store.routing().get(model, RoutingEntry()), what) is not None:
        _update(store, model, **{what: None})
    elif what not in store.labels(model):
        raise RegistryError(f"{model} has no {what}")
    store.unlabel(model, what)


def promote(store: ModelRegistry, model: str, version: int, label: str = STABLE) -> Moved:
    """Points a label at a version. Where that makes it live, its time as a canary or shadow is over, and so is that of
    any other version which routing.json had made live.

    Raises:
        RegistryError: see :meth:`ModelRegistry.promote`. RoutingError: routing.json is not valid.
    """
    entry = store.routing().get(model)
    before = store.promote(model, version, label)
    ended = None
    if label == STABLE and entry is not None:
        if entry.live != STABLE:
            _update(store, model, live=STABLE)
        for what, part in ((CANARY, entry.canary), (SHADOW, entry.shadow)):
            if part is not None and part.version == version:
                off(store, model, what)
                ended = version
    return Moved(version, before, ended)


def rollback(store: ModelRegistry, model: str) -> Moved:
    """Ends the canary if there is one: then the live version is the good one and stays. Else points ``stable`` back at
    ``previous``.

    Raises:
        RegistryError: there is nothing to go back to. RoutingError: routing.json is not valid.
    """
    entry = store.routing().get(model, RoutingEntry())
    live = store.live(model)
    if entry.canary is not None:
        off(store, model, CANARY)
    if entry.canary is not None and live is not None and entry.canary.version != live:  # else: left by a promotion
        return Moved(live, live, entry.canary.version if isinstance(entry.canary.version, int) else None)
    before, now = store.rollback(model)
    if entry.live != STABLE:
        _update(store, model, live=STABLE)
    return Moved(now, before)


def _part(kind: type[Canary] | type[Shadow], **values: object) -> Canary | Shadow:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RoutingError(f"{first['loc'][0]}: {first['msg']}") from None


def _load(store: ModelRegistry, model: str, version: int, label: str) -> None:
    """The label has the version loaded. It comes before the share: a share of a version that is not loaded is nobody's,
    and a label without one, which is what an interruption leaves, changes no answer."""
    store.routing()  # one that is not valid is to be said before anything is written
    if version == store.live(model):
        raise RegistryError(f"version {version} of {model} is live already")
    store.promote(model, version, label)


def _update(store: ModelRegistry, model: str, **changes: object) -> None:
    store.change_route(model, lambda entry: entry.model_copy(update=changes))
