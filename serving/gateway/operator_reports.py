"""Readiness, metrics and drift of this process, or of all workers."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from serving.gateway.backends.base import ModelServer
from serving.gateway.errors import Unavailable
from serving.gateway.http.keys_file import Key
from serving.gateway.models import readiness
from serving.gateway.models.discovery import ModelDiscovery
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.observability.drift import DriftCounts
from serving.gateway.observability.feedback import LiveCounts, VersionKey, live_counts
from serving.gateway.observability.metrics import GatewayMetrics, merged
from serving.gateway.observability.statistics import VersionStatistics
from serving.gateway.workers.merged_readiness import ReadinessReport, notes_of_others, reasons_of_others
from serving.gateway.workers.seen_ids import SeenIds
from serving.gateway.workers.supervisor_link import Reports, SupervisorLink

_FIRST_LOAD_SECONDS = 60.0  # a gateway that has just started waits as long for models that load


class GatewayReports:
    """Reports for operators. With a link to the supervisor they cover all workers."""

    def __init__(
        self,
        discovery: ModelDiscovery,
        model_server: ModelServer,
        files: Mapping[str, WatchedFile[Any]],
        metrics: GatewayMetrics,
        is_draining: Callable[[], bool],
        link: SupervisorLink | None,
    ) -> None:
        """``files`` are ``models_config``, ``routing`` and, if requests need a key, ``keys``."""
        self._discovery = discovery
        self._model_server = model_server
        self._files = files
        self._metrics = metrics
        self._is_draining = is_draining
        self._link = link
        self._seen = SeenIds()
        self._first_load_until = monotonic() + _FIRST_LOAD_SECONDS
        if link is not None:
            link.answer_with("metrics", self._own_metrics)
            link.answer_with("readiness", self._own_readiness)

    def is_ready(self) -> bool:
        """Whether this process can answer for the models that it has."""
        return not self._reasons(None)

    async def readiness(self, key: Key | None) -> tuple[list[str], list[str]]:
        """Return the reasons against readiness, and the notes, that the holder of the key may see."""
        reasons, notes = self._reasons(key), self._notes(key)
        if self._link is not None:
            try:
                reports = await self._link.reports("readiness")
            except TimeoutError:
                return [*reasons, "the supervisor of the workers does not answer"], notes
            own = readiness.model_problems(self._discovery.models)
            reasons += reasons_of_others(reports, self._link.worker, own, self._may_see(key))
            notes += notes_of_others(reports, self._link.worker, own, self._may_see(key))
        return reasons, notes

    async def metrics_page(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if self._link is None:
            return self._metrics.page()
        return self._metrics.merged_page(await self._reports(self._link), self._link.worker)

    async def drift_of_others(self) -> list[list[DriftCounts]]:
        """Return the drift counts of the other workers."""
        if self._link is None:
            return []
        reports = await self._reports(self._link)
        others = (one["report"] for one in reports["workers"] if one["worker"] != self._link.worker)
        return [report["drift"] for report in others if report is not None]

    async def statistics(self) -> list[VersionStatistics]:
        """Return the statistics of all AVAILABLE versions."""
        if self._link is None:
            return VersionStatistics.merged(self._own_statistics())
        reports = await self._reports(self._link)
        known = (one["report"] for one in reports["workers"] if one["report"] is not None)
        return VersionStatistics.merged(statistics for report in known for statistics in report["statistics"])

    async def live_counts(self) -> dict[VersionKey, LiveCounts]:
        """Return the feedback by model and version."""
        if self._link is None:
            return self._metrics.feedback.live()
        families = merged(await self._reports(self._link))
        return live_counts(sample for one in families for sample in one["samples"])

    async def new_ids(self, ids: Sequence[str]) -> list[bool]:
        """Remember ids of feedback, and return for each whether it is new."""
        if self._link is None:
            return self._seen.add(ids)
        try:
            return await self._link.new_ids(ids)
        except TimeoutError:
            raise _no_supervisor() from None

    async def _reports(self, link: SupervisorLink) -> Reports:
        try:
            return await link.reports("metrics")
        except TimeoutError:
            raise _no_supervisor() from None

    def _own_metrics(self) -> dict[str, Any]:
        return {**self._metrics.report(), "statistics": self._own_statistics()}

    def _own_statistics(self) -> list[dict[str, Any]]:
        states = self._discovery.models.values()
        return [version.statistics.report() for state in states for version in state.versions.values()]

    def _own_readiness(self) -> ReadinessReport:
        models = self._discovery.models
        return {"problems": readiness.model_problems(models), "models": len(models), "ready": self.is_ready()}

    def _may_see(self, key: Key | None) -> Callable[[str], bool]:
        """Whether the holder of the key may see a model's name."""
        if key is None:
            return lambda model: "keys" not in self._files
        return key.reaches

    def _reasons(self, key: Key | None) -> list[str]:
        anonymous = key is None and "keys" in self._files
        reasons = readiness.reasons_against(
            self._discovery.models,
            None if anonymous else self._files["models_config"].problem,
            self._is_draining(),
            self._may_see(key),
            first_load=monotonic() < self._first_load_until,
        )
        if not reasons:
            self._first_load_until = 0.0
        return reasons

    def _notes(self, key: Key | None) -> list[str]:
        rejected = [
            f"{file.problem}; the last valid content stays in use" for file in self._files.values() if file.problem
        ]
        if rejected and "keys" in self._files and (key is None or key.models):
            rejected = ["an edit of a file was rejected; a key for every model shows which and why"]
        models, may_see = self._discovery.models, self._may_see(key)
        unsupported = [note for model in models if may_see(model) for note in self._model_server.notes(model)]
        problems = readiness.model_problems(models)
        failed = readiness.for_caller(problems, len(models), may_see) if len(problems) < len(models) else []
        return rejected + failed + readiness.unreadable_cards(models, may_see) + unsupported


def _no_supervisor() -> Unavailable:
    return Unavailable("the supervisor of the workers does not answer; try again")
