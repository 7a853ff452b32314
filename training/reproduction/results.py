"""What has been run and what came out, in one file that is kept beside the page: ``results.json``.

It is written anew behind every run, so that an interrupted reproduction goes on, and a page made on another machine
keeps what was measured on this one.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.artifacts.model_card import ModelCard
from training.core.errors import JobError
from training.experiments.study import Cell, Findings, Study

RESULTS_FILE = "results.json"


class SystemResult(BaseModel):
    """Of one job or study. ``figures`` and ``printed`` share their names where the course prints one."""

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
    printed: Mapping[str, float] = {}
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    notes: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    code: str | None = None
    files: Mapping[str, int] = {}

    def is_current(self, code: str, files: Mapping[str, int], *, quick: bool) -> bool:
        """Whether the same code on the same files has already come to its end, at least as thoroughly."""
        same_files = all(self.files.get(name, size) == size for name, size in files.items())
        return self.status == "done" and self.code == code and same_files and (quick or not self.quick)


class Results(BaseModel):
    """By the names of jobs and studies."""

    model_config = ConfigDict(extra="forbid")

    results: dict[str, SystemResult] = {}

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Those of the folder; none where nothing was run.

        Raises:
            JobError: the file is not one of ours.
        """
        try:
            return cls.model_validate_json((folder / RESULTS_FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise JobError(f"{folder / RESULTS_FILE} cannot be read ({error.errors()[0]['msg']}): remove it") from None

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{RESULTS_FILE}.new"
        text = self.model_copy(update={"results": dict(sorted(self.results.items()))}).model_dump_json(
            indent=1, exclude_defaults=True
        )
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(folder / RESULTS_FILE)


def of_card(card: ModelCard, version: int) -> SystemResult:
    """What a published version says of itself."""
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
        printed=card.printed,
        notes=card.notes,
    )


def of_findings(study: Study, findings: Findings, finished: datetime) -> SystemResult:
    """What a study came to."""
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
