"""Readiness of all workers, as pure functions of their reports."""

from collections.abc import Callable, Mapping
from typing import TypedDict

from serving.gateway.models.readiness import for_caller
from serving.gateway.workers.supervisor_link import Reports


class ReadinessReport(TypedDict):
    """One worker's report: a sentence for each model that cannot answer, and the number of models."""

    problems: dict[str, str]
    models: int
    ready: bool


def reasons_of_others(
    reports: Reports, worker: int, own: Mapping[str, str], may_see: Callable[[str], bool]
) -> list[str]:
    """Reasons against readiness that the other workers add.

    A restarting worker is not a reason: it does not listen, and the others answer.

    Args:
        reports: of kind ``readiness``.
        worker: number of this worker.
        own: its model problems; the same problem of another worker is not repeated.
        may_see: whether the caller may see a model's name.
    """
    reasons = []
    count = len(reports["workers"])
    for one in reports["workers"]:
        name = f"worker {one['worker']} of {count}"
        if one["worker"] == worker:
            continue
        if one["state"] == "starting":
            reasons.append(f"{name} is starting")
        elif one["state"] == "silent":
            reasons.append(f"{name} does not answer")
        elif one["state"] == "serving":
            report: ReadinessReport = one["report"]
            if not report["ready"]:
                reasons += _added(name, report, own, may_see)
    return reasons


def notes_of_others(reports: Reports, worker: int, own: Mapping[str, str], may_see: Callable[[str], bool]) -> list[str]:
    """Return a note for each worker that is restarting, and the model problems of workers that are ready.

    The arguments are those of :func:`reasons_of_others`.
    """
    notes = []
    count = len(reports["workers"])
    for one in reports["workers"]:
        name = f"worker {one['worker']} of {count}"
        if one["state"] == "restarting":
            notes.append(f"{name} is restarting")
        elif one["state"] == "serving" and one["worker"] != worker and one["report"]["ready"]:
            notes += _added(name, one["report"], own, may_see)
    return notes


def _added(name: str, report: ReadinessReport, own: Mapping[str, str], may_see: Callable[[str], bool]) -> list[str]:
    added = {model: text for model, text in report["problems"].items() if model not in own}
    return [f"{name}: {reason}" for reason in for_caller(added, report["models"], may_see)]
