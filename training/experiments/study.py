"""What a study is: an experiment that ends in a table and a plot, not in a model.

A study is a value, built at the foot of its own file in ``training/experiments/studies/``. ``perform`` runs it and
writes ``findings.json``, ``table.md`` and ``plot.png`` into the study's folder.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from training.core.errors import JobError
from training.core.job import JobOptions
from training.evaluation import plots

FINDINGS_FILE, TABLE_FILE, PLOT_FILE = "findings.json", "table.md", "plot.png"

Cell = str | float | int | None
Say = Callable[[str], None]


class Findings(BaseModel):
    """What came out: a table, the figures that it comes down to, and what a reader must know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: str
    figures: Mapping[str, float] = {}
    notes: tuple[str, ...] = ()
    stand_in: str | None = None
    quick: bool = False
    seconds: float = 0.0

    def column(self, index: int) -> list[Any]:
        """Return the cells of a column."""
        return [row[index] for row in self.rows]


@dataclass(frozen=True)
class Study:
    """One question of the courses. ``run(options, say)`` → findings; ``plot(findings, axes)`` draws them."""

    name: str
    title: str
    course: str
    run: Callable[[JobOptions, Say], Findings]
    plot: Callable[[Findings, Axes], None]
    printed: Mapping[str, float] = field(default_factory=dict)  # by the names of ``figures``
    takes_stand_in: bool = False


def perform(study: Study, options: JobOptions, folder: Path, say: Say) -> Findings:
    """Run the study and write what came out into the folder.

    Raises:
        JobError: the data cannot be had, or the study has no stand-in for it.
    """
    if options.stand_in and not study.takes_stand_in:
        raise JobError(f"{study.name} takes no --stand-in")
    begun = time.monotonic()
    findings = study.run(options, say)
    findings = findings.model_copy(update={"quick": options.quick, "seconds": round(time.monotonic() - begun, 1)})
    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7, 3.8))
    study.plot(findings, axes)
    plots.save(figure, folder / PLOT_FILE)
    (folder / TABLE_FILE).write_text(markdown(study, findings), encoding="utf-8")
    (folder / FINDINGS_FILE).write_text(findings.model_dump_json(indent=1), encoding="utf-8")
    return findings


def shown(cell: Cell) -> str:
    """A cell as people read it."""
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def table(study: Study, findings: Findings) -> Table:
    """For the terminal."""
    made = Table(title=f"{study.title}{' (quick)' if findings.quick else ''}")
    for index, column in enumerate(findings.columns):
        numbers = all(isinstance(row[index], float | int | None) for row in findings.rows)
        made.add_column(column, justify="right" if numbers else "left")
    for row in findings.rows:
        made.add_row(*map(shown, row))
    return made


def markdown(study: Study, findings: Findings) -> str:
    """The table, its heading and its notes as Markdown."""
    lines = [f"# {study.title}", ""]
    if findings.quick:
        lines += ["**A quick run, shortened to show the way: its figures mean little.**", ""]
    lines += [f"Data: {findings.data}. {findings.seconds:.0f} s.", "", *grid(findings), ""]
    lines += [f"- {note}" for note in findings.notes]
    return "\n".join(lines).rstrip() + "\n"


def grid(findings: Findings) -> list[str]:
    """The rows alone, as lines of Markdown."""
    rows = (findings.columns, ("---",) * len(findings.columns), *(tuple(map(shown, row)) for row in findings.rows))
    return ["| " + " | ".join(row) + " |" for row in rows]
