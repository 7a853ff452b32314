"""Readiness of all workers, as pure functions of their reports."""

from collections.abc import Callable, Mapping
from typing import TypedDict

from serving.gateway.models.readiness import for_caller
from serving.gateway.workers.supervisor_link import Reports


class ReadinessReport(TypedDict):
    """One worker's report: a sentence for each model that cannot answer, and the number of models."""

    problems: dict[str, str]
    models: int


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
            added = {model: text for model, text in report["problems"].items() if model not in own}
            reasons += [f"{name}: {reason}" for reason in for_caller(added, report["models"], may_see)]
    return reasons


def notes_of_others(reports: Reports) -> list[str]:
    """Return a note for each worker that is restarting."""
    count = len(reports["workers"])
    return [
        f"worker {one['worker']} of {count} is restarting" for one in reports["workers"] if one["state"] == "restarting"
    ]
