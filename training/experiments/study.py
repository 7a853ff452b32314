"""A study: an experiment that ends in a table and a plot, not in a model.

A study is a value, built at the end of its own file in ``training/experiments/studies/``. :func:`perform` runs it and
writes ``findings.json``, ``table.md`` and ``plot.png`` to the study's folder.
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
    """Result of a study.

    Attributes:
        columns: headings of the table.
        rows: cells of the table.
        data: description of the data.
        figures: main results by name.
        notes: conclusions and warnings.
        stand_in: description of the stand-in data, if used.
        quick: whether the run was shortened.
        seconds: duration of the run.
    """

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
    """One experiment of the courses.

    Attributes:
        name: command-line name.
        title: one line for lists and pages.
        course: course document and exercise.
        run: (options, say) → findings; ``say`` receives one sentence for each step.
        plot: draws the findings on axes.
        printed: figures that the course prints, by the names of ``figures``.
        takes_stand_in: whether stand-in data can replace the real data.
    """

    name: str
    title: str
    course: str
    run: Callable[[JobOptions, Say], Findings]
    plot: Callable[[Findings, Axes], None]
    printed: Mapping[str, float] = field(default_factory=dict)
    takes_stand_in: bool = False


def perform(study: Study, options: JobOptions, folder: Path, say: Say) -> Findings:
    """Run the study and write its findings, table and plot to the folder.

    Raises:
        JobError: the data is unavailable, or the study takes no stand-in data.
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
    """Format a cell for people."""
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def table(study: Study, findings: Findings) -> Table:
    """Return the table for the terminal."""
    result = Table(title=f"{study.title}{' (quick)' if findings.quick else ''}")
    for index, column in enumerate(findings.columns):
        numbers = all(isinstance(row[index], float | int | None) for row in findings.rows)
        result.add_column(column, justify="right" if numbers else "left")
    for row in findings.rows:
        result.add_row(*map(shown, row))
    return result


def markdown(study: Study, findings: Findings) -> str:
    """Return heading, table and notes as Markdown."""
    lines = [f"# {study.title}", ""]
    if findings.quick:
        lines += ["**A quick run with a shortened recipe: its figures mean little.**", ""]
    lines += [f"Data: {findings.data}. {findings.seconds:.0f} s.", "", *grid(findings.columns, findings.rows), ""]
    lines += [f"- {note}" for note in findings.notes]
    return "\n".join(lines).rstrip() + "\n"


def grid(columns: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...]) -> list[str]:
    """Return a table as lines of Markdown."""
    return ["| " + " | ".join(map(shown, row)) + " |" for row in (columns, ("---",) * len(columns), *rows)]
