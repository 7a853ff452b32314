"""The table of cases of the version policy."""

import pytest

from serving.model_server.core.version_policy import Action, Load, Snapshot, Unload, VersionState, next_action

START, LOADING, AVAILABLE, UNLOADING, END = VersionState
ASPIRED, NOT_ASPIRED = True, False

CASES = {
    "no versions": ([], None),
    "the first version is loaded": ([(1, START, ASPIRED)], Load(1)),
    "the highest version loads first": ([(1, START, ASPIRED), (3, START, ASPIRED), (2, START, ASPIRED)], Load(3)),
    "versions load at the same time": ([(2, LOADING, ASPIRED), (1, START, ASPIRED)], Load(1)),
    "all aspired versions are available": ([(1, AVAILABLE, ASPIRED), (2, AVAILABLE, ASPIRED)], None),
    "the new version loads before the old one unloads": ([(1, AVAILABLE, NOT_ASPIRED), (2, START, ASPIRED)], Load(2)),
    "the old one stays while the new one loads": ([(1, AVAILABLE, NOT_ASPIRED), (2, LOADING, ASPIRED)], None),
    "the old one unloads after the new one is available": (
        [(1, AVAILABLE, NOT_ASPIRED), (2, AVAILABLE, ASPIRED)],
        Unload(1),
    ),
    "the old one stays if the new one failed": ([(1, AVAILABLE, NOT_ASPIRED), (2, END, ASPIRED)], None),
    "of two old versions one unloads": (
        [(1, AVAILABLE, NOT_ASPIRED), (2, AVAILABLE, NOT_ASPIRED), (3, LOADING, ASPIRED)],
        Unload(1),
    ),
    "back to an older version": ([(2, AVAILABLE, NOT_ASPIRED), (1, AVAILABLE, ASPIRED)], Unload(2)),
    "no version is aspired": ([(1, AVAILABLE, NOT_ASPIRED), (2, AVAILABLE, NOT_ASPIRED)], Unload(1)),
    "unloading has priority over loading": (
        [(1, AVAILABLE, NOT_ASPIRED), (2, AVAILABLE, ASPIRED), (3, START, ASPIRED)],
        Unload(1),
    ),
    "a version that unloads needs no action": ([(1, UNLOADING, NOT_ASPIRED), (2, AVAILABLE, ASPIRED)], None),
    "a version that has ended needs no action": ([(1, END, NOT_ASPIRED), (2, END, ASPIRED)], None),
    "a version that is not aspired does not load": ([(1, START, NOT_ASPIRED)], None),
}


@pytest.mark.parametrize("case", CASES)
def test_next_action(case: str) -> None:
    versions, expected = CASES[case]
    assert next_action(Snapshot(*version) for version in versions) == expected


@pytest.mark.parametrize("aspired", [set(), {1}, {4}, {1, 4}, {5, 6}, {1, 2, 3, 4, 5, 6}])
def test_policy_reaches_the_aspired_versions_and_always_keeps_one(aspired: set[int]) -> None:
    states = dict.fromkeys((1, 2, 4), AVAILABLE) | dict.fromkeys(aspired - {1, 2, 4}, START)

    def step() -> Action | None:
        return next_action(Snapshot(version, state, version in aspired) for version, state in states.items())

    while action := step():
        states[action.version] = AVAILABLE if isinstance(action, Load) else END
        assert not aspired or AVAILABLE in states.values()
    assert {version for version, state in states.items() if state is AVAILABLE} == aspired
