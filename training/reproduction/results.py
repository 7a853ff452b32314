"""Results of all runs, in the file ``results.json`` next to the page.

The file is rewritten after every run, so an interrupted reproduction resumes. Results of another machine are kept.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.artifacts.atomic_write import write_atomically
from serving.artifacts.model_card import ModelCard
from training.core.errors import JobError
from training.experiments.study import Cell, Findings, Study

RESULTS_FILE = "results.json"


class SystemResult(BaseModel):
    """Result of one job or study.

    ``printed`` has the course's values under the names of ``figures``, ``histories`` the values after each epoch.
    ``commit`` is the code's, with a + if files had changed since.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["job", "study"]
    status: Literal["done", "failed"] = "done"
    reason: str | None = None
    title: str
    course: str | None = None
    quick: bool = False
    stand_in: str | None = None
    data: str = ""
    seconds: float = 0.0
    finished: datetime
    version: int | None = None
    parameters: int | None = None
    figures: Mapping[str, float] = {}
    histories: Mapping[str, tuple[float | None, ...]] = {}
    printed: Mapping[str, float] = {}
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    notes: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    commit: str | None = None
    code: str | None = None
    files: Mapping[str, int] = {}

    def is_current(self, code: str, files: Mapping[str, int], *, quick: bool) -> bool:
        """Return whether this is a completed run of the same code on the same files.

        A quick result is current only for ``quick``.
        """
        same_files = all(self.files.get(name, size) == size for name, size in files.items())
        return self.status == "done" and self.code == code and same_files and (quick or not self.quick)


class Results(BaseModel):
    """Results by the names of jobs and studies."""

    model_config = ConfigDict(extra="forbid")

    results: dict[str, SystemResult] = {}

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Read the folder's results; empty without a file.

        Raises:
            JobError: the file is invalid.
        """
        try:
            return cls.model_validate_json((folder / RESULTS_FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise JobError(f"{folder / RESULTS_FILE} is invalid ({error.errors()[0]['msg']}): remove it") from None

    def write(self, folder: Path) -> None:
        """Write the results to the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        text = self.model_copy(update={"results": dict(sorted(self.results.items()))}).model_dump_json(
            indent=1, exclude_defaults=True
        )
        write_atomically(folder / RESULTS_FILE, text + "\n")


def of_card(card: ModelCard, version: int | None) -> SystemResult:
    """Return the result that a card describes: a published version's, or a quick run's without a version."""
    rows = ", ".join(f"{count:,} {part}" for part, count in card.data.rows.items())
    return SystemResult(
        kind="job",
        title=card.title,
        course=card.course,
        quick=card.training.quick,
        stand_in=card.data.stand_in,
        data=f"{card.data.name}, {rows} ({card.data.source})",
        seconds=card.training.seconds,
        finished=card.created,
        version=version,
        parameters=card.parameters,
        figures=card.metrics,
        histories=card.histories,
        printed=card.printed,
        notes=card.notes,
    )


def of_findings(study: Study, findings: Findings, finished: datetime) -> SystemResult:
    """Return the result of a study."""
    return SystemResult(
        kind="study",
        title=study.title,
        course=study.course,
        quick=findings.quick,
        stand_in=findings.stand_in,
        data=findings.data,
        seconds=findings.seconds,
        finished=finished,
        figures=findings.figures,
        printed=study.printed,
        columns=findings.columns,
        rows=findings.rows,
        notes=findings.notes,
    )
