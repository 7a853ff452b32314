"""Run jobs and studies one after the other, each in a process of its own.

A job passes the gate and publishes a version as usual, or with its quick recipe publishes nothing. If one fails, the
runner reports it and continues. An interrupted reproduction resumes with the outdated ones, and the interrupted job
from its checkpoint.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from serving.artifacts import model_card
from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import ModelCardError
from serving.artifacts.registry import ModelRegistry
from training.core.catalogue import JOBS, OWN_DATA, STUDIES, find_study
from training.core.job import kept_apart
from training.experiments.study import FINDINGS_FILE, PLOT_FILE, Findings
from training.reproduction import fingerprint
from training.reproduction.results import Results, SystemResult, of_card, of_findings
from training.tracking import revision

PLOTS = "plots"
_NO_DATA = ("cannot be downloaded", "--stand-in")  # both are in the error of a job that can use stand-in data
_GATE = "gate: "  # start of the lines with the gate's reasons

Say = Callable[[str], None]


@dataclass(frozen=True)
class Folders:
    """Folders of the page, of the versions, and of unfinished runs, studies and logs."""

    docs: Path
    exports: Path
    work: Path


@dataclass(frozen=True)
class Ended:
    """An ended command: exit code, standard output and standard error."""

    code: int
    output: Sequence[str]
    errors: Sequence[str]

    @property
    def lacks_data(self) -> bool:
        """Whether it failed for lack of data and takes stand-in data."""
        return bool(self.code) and all(any(part in line for line in self.errors) for part in _NO_DATA)

    @property
    def reason(self) -> str:
        """Why it failed: the gate's reasons, or the last line of standard error."""
        if refusals := [line.strip().removeprefix(_GATE) for line in self.output if line.startswith(_GATE)]:
            return f"the gate refused it: {'; '.join(refusals)}"
        if errors := [line.strip() for line in self.errors if line.strip()]:
            return errors[-1]
        if self.code < 0:
            return f"ended by signal {-self.code}"
        return f"ended with exit code {self.code} and no message"


def reproduce(names: Sequence[str], folders: Folders, *, quick: bool, again: bool, say: Say) -> Results:
    """Run outdated jobs and studies one by one; write the results after each.

    Args:
        names: jobs and studies.
        folders: where page, versions and unfinished runs are.
        quick: use the quick recipes; a full result counts as up to date and is not replaced.
        again: also run jobs and studies that are up to date.
        say: receives one line for each step, and the output of the commands.

    Raises:
        JobError: the existing results are invalid.
    """
    results = Results.read(folders.docs)
    if not quick:
        add_published(results, folders)
    for position, name in enumerate(names, 1):
        module = f"training.jobs.{name}" if name in JOBS else f"training.experiments.studies.{name}"
        code, files = fingerprint.code(module), fingerprint.files(module)
        before = results.results.get(name)
        head = f"[{position} of {len(names)}] {name}"
        current = before if before and not again and before.is_current(code, files, quick=quick) else None
        if current and not current.stand_in:
            say(f"{head}: up to date")
            continue
        say(f"{head} …")
        begun = time.monotonic()
        result = _job(name, folders, current, quick, say) if name in JOBS else _study(name, folders, quick, say)
        if before and before.status == "done" and not before.quick and (quick or result.status == "failed"):
            say(f"{head}: {result.reason or 'done'}; the full result of {before.finished:%Y-%m-%d} is kept")
            continue
        results.results[name] = result.model_copy(update={"commit": revision.commit(), "code": code, "files": files})
        results.write(folders.docs)
        how = f"failed: {result.reason}" if result.status == "failed" else "done"
        say(f"{head}: {how}, after {time.monotonic() - begun:.0f} s")
    return results


def add_published(results: Results, folders: Folders) -> None:
    """Add the results of live versions that a user has trained; keep full results."""
    registry = ModelRegistry(folders.exports)
    for name in JOBS:
        known, live = results.results.get(name), registry.live(name)
        if name in OWN_DATA or live is None or (known and known.status == "done" and not known.quick):
            continue
        try:
            result = of_card(registry.card(name, live), live)
        except ModelCardError:
            continue
        if not result.quick:
            results.results[name] = _with_plots(result, name, folders)


def _job(name: str, folders: Folders, current: SystemResult | None, quick: bool, say: Say) -> SystemResult:
    """Run a job.

    ``current`` is the result of the same code on stand-in data; real data may be available now.
    """
    registry = ModelRegistry(folders.exports)
    known = registry.versions(name)
    runs = folders.work / "runs"
    command = ["train", name, "--exports", str(folders.exports), "--runs", str(runs), *["--quick"] * quick]
    ended = _vitrine(command, folders, name, say)
    no_data = ended.reason if ended.lacks_data else None
    if no_data:
        if current:
            say("the real data is still unavailable; the result on stand-in data is kept")
            return current
        ended = _on_stand_in(command, folders, name, say)
    if quick and not ended.code:
        kept = kept_apart(runs, name)
        card = model_card.parse((kept / Path(CARD_FILE).name).read_bytes())
        return _with_copies(of_card(card, None), name, sorted(kept.glob("*.png")), folders)
    new = [version for version in registry.versions(name) if version not in known]
    if ended.code or not new:
        return _failed("job", JOBS[name], ended, no_data)
    return _with_plots(of_card(registry.card(name, new[-1]), new[-1]), name, folders)


def _study(name: str, folders: Folders, quick: bool, say: Say) -> SystemResult:
    folder = folders.work / "studies"
    command = ["study", name, "--folder", str(folder), *["--quick"] * quick]
    ended = _vitrine(command, folders, name, say)
    no_data = ended.reason if ended.lacks_data else None
    if no_data:
        ended = _on_stand_in(command, folders, name, say)
    if ended.code:
        return _failed("study", STUDIES[name], ended, no_data)
    findings = Findings.model_validate_json((folder / name / FINDINGS_FILE).read_bytes())
    result = of_findings(find_study(name), findings, _now())
    return _with_copies(result, name, [folder / name / PLOT_FILE], folders)


def _on_stand_in(command: Sequence[str], folders: Folders, name: str, say: Say) -> Ended:
    say("the real data is unavailable: running on stand-in data")
    return _vitrine([*command, "--stand-in"], folders, name, say)


def _failed(kind: Literal["job", "study"], title: str, ended: Ended, no_data: str | None) -> SystemResult:
    """Return a failed result.

    ``no_data`` is the error of the run on real data, if stand-in data was used after it.
    """
    reason = f"{no_data} On stand-in data: {ended.reason}" if no_data else ended.reason
    return SystemResult(kind=kind, status="failed", reason=reason, title=title, finished=_now())


def _with_plots(result: SystemResult, name: str, folders: Folders) -> SystemResult:
    extra = folders.exports / name / str(result.version) / "assets.extra"
    return _with_copies(result, name, sorted(extra.glob("*.png")), folders)


def _with_copies(result: SystemResult, name: str, plots: Sequence[Path], folders: Folders) -> SystemResult:
    """Copy the plots to the page's folder and add their names to the result."""
    into = folders.docs / PLOTS
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob(f"{name}-*.png"):
        old.unlink()
    names = [f"{name}-{plot.name}" for plot in plots]
    for plot, copy in zip(plots, names, strict=True):
        shutil.copyfile(plot, into / copy)
    return result.model_copy(update={"plots": tuple(names)})


def _vitrine(arguments: Sequence[str], folders: Folders, name: str, say: Say) -> Ended:
    """Run ``vitrine …``; report its output and write it to a log, standard error last."""
    logs = folders.work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    output: list[str] = []

    def record(line: str) -> None:
        log.write(line)
        if line.strip():
            say(f"    {line.rstrip()}")

    with (
        (logs / f"{name}.log").open("w", encoding="utf-8") as log,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
    ):
        with subprocess.Popen(
            [sys.executable, "-m", "serving.cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        ) as process:
            assert process.stdout
            for line in process.stdout:
                output.append(line)
                record(line)
        errors.seek(0)
        error_lines = errors.readlines()
        for line in error_lines:
            record(line)
    return Ended(process.returncode, output, error_lines)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
