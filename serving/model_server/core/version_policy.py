"""The next step for the versions of one model: a pure function over snapshots.

Source: tensorflow_serving/core/availability_preserving_policy.cc. A new version loads before the old one unloads, so
that one is always available. This takes the memory of two copies for a moment.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class VersionState(enum.IntEnum):
    """The state of a version, numbered as in get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Snapshot:
    """One version of a model; ``aspired`` means that it should be loaded."""

    version: int
    state: VersionState
    aspired: bool


@dataclass(frozen=True)
class Load:
    """Load this version."""

    version: int


@dataclass(frozen=True)
class Unload:
    """Unload this version."""

    version: int


Action = Load | Unload


def next_action(versions: Iterable[Snapshot]) -> Action | None:
    """Return the next step, or None until a state changes.

    Versions that are no longer aspired unload, lowest first, after an aspired version is available, or if none is
    aspired. If several of them are available while the new one loads, one stays. New versions load highest first.
    """
    versions = list(versions)
    aspired = [version for version in versions if version.aspired]
    lingering = [v.version for v in versions if not v.aspired and v.state is VersionState.AVAILABLE]
    replaced = any(version.state is VersionState.AVAILABLE for version in aspired)
    if lingering and (not aspired or replaced or len(lingering) > 1):
        return Unload(min(lingering))
    new = [version.version for version in aspired if version.state is VersionState.START]
    return Load(max(new)) if new else None
