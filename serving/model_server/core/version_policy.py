"""What to do next with the versions of one model: a pure function over what is known of them.

Source: tensorflow_serving/core/availability_preserving_policy.cc. A new version is loaded before the old one goes, so
that one is always there to answer, at the price of two copies in memory for a moment.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class VersionState(enum.IntEnum):
    """Where a version stands; numbered as in get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Snapshot:
    """One version of a model; ``aspired`` says that it should be there."""

    version: int
    state: VersionState
    aspired: bool


@dataclass(frozen=True)
class Load:
    version: int


@dataclass(frozen=True)
class Unload:
    version: int


Action = Load | Unload


def next_action(versions: Iterable[Snapshot]) -> Action | None:
    """The next step, or None where there is nothing to do until something changes.

    Versions that are no longer aspired go, lowest first, once an aspired one is available, or where none is aspired at
    all; of several that linger while the new one loads, one stays. New versions are loaded highest first.
    """
    versions = list(versions)
    aspired = [version for version in versions if version.aspired]
    lingering = [v.version for v in versions if not v.aspired and v.state is VersionState.AVAILABLE]
    replaced = any(version.state is VersionState.AVAILABLE for version in aspired)
    if lingering and (not aspired or replaced or len(lingering) > 1):
        return Unload(min(lingering))
    new = [version.version for version in aspired if version.state is VersionState.START]
    return Load(max(new)) if new else None
