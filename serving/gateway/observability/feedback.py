"""Live figures of versions, from feedback: the share of right classes, and the mean absolute error of numbers.

They are ratios of counters, and count from the start of the process.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.counters import Counter
from serving.gateway.observability.metric_families import family
from serving.gateway.workers.metric_snapshot import Sample

#: Names of the ratios. The ratio of all workers is not the sum of theirs.
LIVE_METRICS = ("vitrine_live_accuracy", "vitrine_live_absolute_error")

CORRECT, WRONG, MEASURED = "correct", "wrong", "measured"
_ROWS, _ERRORS = "vitrine_feedback", "vitrine_feedback_absolute_error"

#: Model and version.
VersionKey = tuple[str, str]


@dataclass(slots=True)
class LiveCounts:
    """Feedback on one version: classes by whether they were right, numbers with the sum of their absolute errors."""

    correct: float = 0
    wrong: float = 0
    measured: float = 0
    absolute_error: float = 0

    @property
    def rows(self) -> int:
        """Predictions with feedback."""
        return int(self.correct + self.wrong + self.measured)

    @property
    def accuracy(self) -> float | None:
        """Share of right classes; None without feedback on classes."""
        return self.correct / (self.correct + self.wrong) if self.correct + self.wrong else None

    @property
    def mean_absolute_error(self) -> float | None:
        """Mean absolute error; None without feedback on numbers."""
        return self.absolute_error / self.measured if self.measured else None


class FeedbackMetrics(Collector):
    """Counters of feedback, and the ratios of this process, in prometheus_client's registry."""

    def __init__(self) -> None:
        labels = ["model", "version"]
        self._rows = Counter(
            _ROWS,
            "Predictions with feedback by outcome: correct and wrong classes, measured numbers.",
            [*labels, "outcome"],
        )
        self._errors = Counter(_ERRORS, "Sum of the absolute errors of measured numbers.", labels)

    def add(self, model: str, version: int, counts: LiveCounts) -> None:
        """Count feedback on a version."""
        key = model, str(version)
        for outcome in (CORRECT, WRONG, MEASURED):
            if getattr(counts, outcome):
                self._rows.add((*key, outcome), by=getattr(counts, outcome))
        if counts.measured:
            self._errors.add(key, by=counts.absolute_error)

    def live(self) -> dict[VersionKey, LiveCounts]:
        """Return the counts of this process."""
        metrics = [family(self._rows), family(self._errors)]
        return live_counts((one.name, one.labels, one.value) for metric in metrics for one in metric.samples)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this process; called by prometheus_client."""
        yield family(self._rows)
        yield family(self._errors)
        yield from ratios(self.live())


def live_counts(samples: Iterable[Sample]) -> dict[VersionKey, LiveCounts]:
    """Return the counts that samples of metrics contain; other samples are ignored."""
    found: dict[VersionKey, LiveCounts] = {}
    for name, labels, value in samples:
        if name in (f"{_ROWS}_total", f"{_ERRORS}_total"):
            counts = found.setdefault((labels["model"], labels["version"]), LiveCounts())
            field = labels.get("outcome", "absolute_error")
            setattr(counts, field, getattr(counts, field) + value)
    return found


def ratios(live: Mapping[VersionKey, LiveCounts]) -> Iterator[GaugeMetricFamily]:
    """Yield the ratios as metrics."""
    accuracy, error = (
        GaugeMetricFamily(name, text, labels=["model", "version"])
        for name, text in zip(
            LIVE_METRICS,
            ("Share of right classes in the feedback.", "Mean absolute error of numbers in the feedback."),
            strict=True,
        )
    )
    for key, counts in live.items():
        if counts.accuracy is not None:
            accuracy.add_metric(key, counts.accuracy)
        if counts.mean_absolute_error is not None:
            error.add_metric(key, counts.mean_absolute_error)
    yield accuracy
    yield error
