"""Roll out a version step by step: canary, shadow, promotion and rollback.

Labels are in ``models.config``, which makes the model server load the versions. Percentages are in ``routing.json``. A
gateway reads both every second (``--poll-seconds``).
"""

from dataclasses import dataclass

from pydantic import ValidationError

from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError
from serving.artifacts.routing_file import Canary, RoutingEntry, RoutingError, Shadow

CANARY = "canary"
SHADOW = "shadow"


@dataclass(frozen=True)
class Moved:
    """Result of a step: the label moved from ``before`` to ``version``. ``ended`` is no longer canary or shadow."""

    version: int
    before: int | None
    ended: int | None = None


def canary(registry: ModelRegistry, model: str, version: int, percent: float, sticky: str | None = None) -> Moved:
    """Send a percentage of the requests that name no version to a version. Replaces any canary.

    Raises:
        RegistryError: The version does not exist, cannot be served, or is live already, or another change of the
            model is in progress.
        RoutingError: The percentage or stickiness is invalid, or routing.json is.
    """
    route = _route(Canary, version=version, percent=percent, sticky=sticky)
    with registry.exclusive(model):
        before = _load(registry, model, version, CANARY)
        _update(registry, model, canary=route)
        return Moved(version, before)


def shadow(registry: ModelRegistry, model: str, version: int, percent: float) -> None:
    """Send a copy of a percentage of the requests that name no version to a version. Replaces any shadow.

    Raises:
        RegistryError: See :func:`canary`.
        RoutingError: See :func:`canary`.
    """
    route = _route(Shadow, version=version, percent=percent)
    with registry.exclusive(model):
        _load(registry, model, version, SHADOW)
        _update(registry, model, shadow=route)


def off(registry: ModelRegistry, model: str, what: str) -> None:
    """End a model's canary or shadow, also one that an interrupted command left incomplete.

    Raises:
        RegistryError: The model has none.
        RoutingError: routing.json is invalid.
    """
    with registry.exclusive(model):
        _off(registry, model, what)


def promote(registry: ModelRegistry, model: str, version: int, label: str = STABLE) -> Moved:
    """Point a label at a version. A version that becomes live is no longer canary or shadow.

    Promotion to ``stable`` also resets ``live`` in routing.json.

    Raises:
        RegistryError: See :meth:`ModelRegistry.promote`.
        RoutingError: routing.json is invalid.
    """
    with registry.exclusive(model):
        return _promote(registry, model, version, label)


def _promote(registry: ModelRegistry, model: str, version: int, label: str) -> Moved:
    entry = registry.routing().get(model)
    before = registry.promote(model, version, label)
    ended = None
    if label == STABLE and entry is not None:
        if entry.live != STABLE:
            _update(registry, model, live=STABLE)
        for what, route in ((CANARY, entry.canary), (SHADOW, entry.shadow)):
            if route is not None and route.version == version:
                _off(registry, model, what)
                ended = version
    return Moved(version, before, ended)


def rollback(registry: ModelRegistry, model: str) -> Moved:
    """End the canary, if the model has one, and keep the live version. Else point ``stable`` back at ``previous``.

    Raises:
        RegistryError: No version precedes the live one.
        RoutingError: routing.json is invalid.
    """
    with registry.exclusive(model):
        return _rollback(registry, model)


def _rollback(registry: ModelRegistry, model: str) -> Moved:
    entry = registry.routing().get(model, RoutingEntry())
    live = registry.live(model)
    if entry.canary is not None:
        _off(registry, model, CANARY)
    # A canary of the live version is the rest of an interrupted promotion.
    if entry.canary is not None and live is not None and entry.canary.version != live:
        return Moved(live, live, entry.canary.version if isinstance(entry.canary.version, int) else None)
    before, now = registry.rollback(model)
    if entry.live != STABLE:
        _update(registry, model, live=STABLE)
    return Moved(now, before)


def _route(kind: type[Canary] | type[Shadow], **values: object) -> Canary | Shadow:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RoutingError(f"{first['loc'][0]}: {first['msg']}") from None


def _off(registry: ModelRegistry, model: str, what: str) -> None:
    if getattr(registry.routing().get(model, RoutingEntry()), what) is not None:
        _update(registry, model, **{what: None})
    elif what not in registry.labels(model):
        raise RegistryError(f"{model} has no {what}")
    registry.unlabel(model, what)


def _load(registry: ModelRegistry, model: str, version: int, label: str) -> int | None:
    """Load a version by giving it a label, and return the label's old version.

    This happens before the version receives requests. If the command is interrupted here, the label changes no answer.
    """
    registry.routing()  # raises for an invalid file before anything is written
    if version == registry.live(model):
        raise RegistryError(f"version {version} of {model} is live already")
    return registry.promote(model, version, label)


def _update(registry: ModelRegistry, model: str, **changes: object) -> None:
    registry.change_route(model, lambda entry: entry.model_copy(update=changes))
