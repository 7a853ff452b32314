"""Rows of the page: jobs and studies of each system, with printed figures and ours."""

from collections.abc import Iterator
from dataclasses import dataclass

from training.core.catalogue import JOBS, OWN_DATA, STUDIES
from training.reproduction.course import System
from training.reproduction.results import Results, SystemResult
from training.reproduction.systems import SYSTEMS, others

#: Metrics to show if the course prints none, by preference.
_MAIN_METRICS = (
    "test_accuracy",
    "recall_at_1",
    "others_accuracy",
    "nearest_of_same_kind",
    "test_mse",
    "test_mae",
    "skill",
    "by_hand_difference",
    "roundings",
)
_MAX_SHOWN = 3


@dataclass(frozen=True)
class Figure:
    """One metric, with the course's value; comparable unless on stand-in data."""

    name: str
    printed: float | None
    ours: float
    comparable: bool = True

    @property
    def difference(self) -> float | None:
        """Ours minus the printed value, if comparable."""
        return self.ours - self.printed if self.printed is not None and self.comparable else None


@dataclass(frozen=True)
class RowEntry:
    """One job or study of a system; ``result`` is None if it was not run."""

    name: str
    title: str
    result: SystemResult | None
    figures: tuple[Figure, ...] = ()

    @property
    def state(self) -> str:
        """State of the run: not run, failed, stand-in data, quick run or full run."""
        if self.result is None:
            return "not run"
        if self.result.status == "failed":
            return "failed"
        if self.result.stand_in:
            return "stand-in data"
        return "quick run" if self.result.quick else "full run"


@dataclass(frozen=True)
class Row:
    """One system with its jobs and studies."""

    system: System
    entries: tuple[RowEntry, ...]

    @property
    def asserted(self) -> bool:
        """Whether all its runs have completed, so that the exact facts hold."""
        return bool(self.entries) and all(entry.result and entry.result.status == "done" for entry in self.entries)


def rows(results: Results) -> list[Row]:
    """Return a row for each system of the courses, then one for the project's own."""
    titles = {**JOBS, **STUDIES}
    return [
        Row(system, tuple(_entry(name, titles.get(name, "not implemented"), results) for name in system.names))
        for system in (*SYSTEMS, others([name for name in (*JOBS, *STUDIES) if name not in OWN_DATA]))
        if system.names
    ]


def number(value: float | None, *, signed: bool = False) -> str:
    """Format a value: four decimals, three digits if small, and 0 below 1e-12."""
    if value is None:
        return "–"
    if abs(value) < 1e-12:
        return "0"
    text = f"{round(value, 4):.6g}" if abs(value) >= 1e-3 else f"{value:.3g}"
    return ("+" if signed and value > 0 else "") + text.replace("-", "−")


def duration(seconds: float) -> str:
    """Format a duration in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _entry(name: str, title: str, results: Results) -> RowEntry:
    result = results.results.get(name)
    return RowEntry(name, title, result, tuple(_figures(result)) if result else ())


def _figures(result: SystemResult) -> Iterator[Figure]:
    both = [name for name in result.printed if name in result.figures]
    for name in both:
        yield Figure(name, result.printed[name], result.figures[name], comparable=result.stand_in is None)
    if not both:
        shown = [name for name in _MAIN_METRICS if name in result.figures] if result.kind == "job" else result.figures
        for name in list(shown)[:_MAX_SHOWN]:
            yield Figure(name, None, result.figures[name])
