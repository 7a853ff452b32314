"""Faults of one host under load. ``python -m tests.faults`` prints figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.client import Figures
from tests.faults.one_host_faults import SCENARIOS

RATE = 30  # requests a second
REQUESTS = 30  # minimum in each phase


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_fault_loses_a_request(scenario: Callable[..., list[Figures]], tmp_path: Path) -> None:
    figures = scenario(tmp_path, RATE, REQUESTS, long=False)
    for one in figures:
        print(one)
    assert figures
    for one in figures:
        assert not one.wrong, one.reasons
        assert not one.lost, one.reasons
        assert "killed" in one.phase or "frozen" in one.phase or not one.retried
