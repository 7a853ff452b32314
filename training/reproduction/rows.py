"""What the page says of each system, as values: printed figure, ours, difference, time, data."""

from collections.abc import Iterator
from dataclasses import dataclass

from training.core.catalogue import JOBS, STUDIES
from training.reproduction.results import Results, SystemResult
from training.reproduction.systems import SYSTEMS, System, others

#: Shown where a course prints none, the first that there are.
_TELLING = (
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
_AT_MOST = 3


@dataclass(frozen=True)
class Figure:
    name: str
    printed: float | None
    ours: float
    comparable: bool = True  # not on stand-in data

    @property
    def difference(self) -> float | None:
        return self.ours - self.printed if self.printed is not None and self.comparable else None


@dataclass(frozen=True)
class RowEntry:
    """One job or study of a system; ``result`` is None where it was not run."""

    name: str
    title: str
    result: SystemResult | None
    figures: tuple[Figure, ...] = ()

    @property
    def state(self) -> str:
        """One word or sentence of what became of it."""
        if self.result is None:
            return "not run"
        if self.result.status == "failed":
            return "failed"
        if self.result.stand_in:
            return "stand-in data"
        return "quick run" if self.result.quick else "full run"


@dataclass(frozen=True)
class Row:
    system: System
    entries: tuple[RowEntry, ...]

    @property
    def asserted(self) -> bool:
        """Whether all that belongs to the system has come to its end, which it does only if the facts hold."""
        return bool(self.entries) and all(entry.result and entry.result.status == "done" for entry in self.entries)


def rows(results: Results) -> list[Row]:
    """Every system of the courses, then what is made beside them."""
    titles = {**JOBS, **STUDIES}
    return [
        Row(system, tuple(_entry(name, titles.get(name, "not made yet"), results) for name in system.names))
        for system in (*SYSTEMS, others([*JOBS, *STUDIES]))
        if system.names
    ]


def number(value: float | None, *, signed: bool = False) -> str:
    """As people read it: four decimals, of small values three digits; what is below 1e-12 is 0."""
    if value is None:
        return "–"
    if abs(value) < 1e-12:
        return "0"
    text = f"{round(value, 4):.6g}" if abs(value) >= 1e-3 else f"{value:.3g}"
    return ("+" if signed and value > 0 else "") + text.replace("-", "−")


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _entry(name: str, title: str, results: Results) -> RowEntry:
    result = results.results.get(name)
    return RowEntry(name, title, result, tuple(_figures(result)) if result else ())


def _figures(result: SystemResult) -> Iterator[Figure]:
    both = [name for name in result.printed if name in result.figures]
    for name in both:
        yield Figure(name, result.printed[name], result.figures[name], comparable=result.stand_in is None)
    if not both:
        telling = [name for name in _TELLING if name in result.figures] if result.kind == "job" else result.figures
        for name in list(telling)[:_AT_MOST]:
            yield Figure(name, None, result.figures[name])
