"""Readiness of several workers as one."""

from typing import Any

from serving.gateway.workers.merged_readiness import notes_of_others, reasons_of_others
from serving.gateway.workers.supervisor_link import Reports, WorkerState

READY = {"problems": {}, "models": 2, "ready": True}


def reports(*states: tuple[WorkerState, Any]) -> Reports:
    workers = [{"worker": number, "state": state, "report": report} for number, (state, report) in enumerate(states, 1)]
    return {"workers": workers, "supervisor": None}


def reasons(found: Reports, own: dict[str, str] | None = None, secret: str = "") -> list[str]:
    return reasons_of_others(found, 1, own or {}, lambda model: model != secret)


def notes(found: Reports, own: dict[str, str] | None = None) -> list[str]:
    return notes_of_others(found, 1, own or {}, lambda model: True)


def test_a_worker_that_starts_or_is_silent_is_a_reason_and_one_that_restarts_a_note() -> None:
    found = reports(("serving", READY), ("serving", READY), ("starting", None), ("silent", READY), ("restarting", None))
    assert reasons(found) == ["worker 3 of 5 is starting", "worker 4 of 5 does not answer"]
    assert notes(found) == ["worker 5 of 5 is restarting"]


def test_a_problem_of_another_worker_is_named_unless_this_one_has_it_too() -> None:
    broken = {"problems": {"a": "model a: gone", "b": "model b: gone"}, "models": 2, "ready": False}
    found = reports(("serving", READY), ("serving", broken))
    assert reasons(found) == ["worker 2 of 2: model a: gone", "worker 2 of 2: model b: gone"]
    assert reasons(found, {"a": "model a: away"}) == ["worker 2 of 2: model b: gone"]
    (named, counted) = reasons(found, secret="b")
    assert named == "worker 2 of 2: model a: gone"
    assert counted.startswith("worker 2 of 2: 1 of 2 models cannot answer")
    assert notes(found) == []


def test_a_problem_of_a_worker_that_answers_for_other_models_is_a_note() -> None:
    half = {"problems": {"a": "model a: gone"}, "models": 2, "ready": True}
    found = reports(("serving", READY), ("serving", half))
    assert reasons(found) == []
    assert notes(found) == ["worker 2 of 2: model a: gone"]
    assert notes(found, {"a": "model a: away"}) == []
