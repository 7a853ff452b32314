"""The page shows every system with its figures and states."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.core.catalogue import JOBS, OWN_DATA, STUDIES
from training.core.errors import JobError
from training.reproduction import page
from training.reproduction.results import RESULTS_FILE, Results, SystemResult
from training.reproduction.rows import number, rows
from training.reproduction.systems import SYSTEMS

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FULL = SystemResult(
    kind="job",
    title="a net",
    finished=NOW,
    seconds=150,
    data="Fashion-MNIST, 60,000 train",
    figures={"accuracy": 0.9, "loss": 0.3},
    printed={"accuracy": 0.8928},
    notes=("A <note> | of it",),
    code="abc",
    files={"fashion-mnist": 5},
)
RESULTS = Results(
    results={
        "fashion_cnn": FULL,
        "cifar100_deep": FULL.model_copy(update={"stand_in": "random pictures"}),
        "fashion_embedding": FULL.model_copy(update={"quick": True}),
        "xo_cnn": SystemResult(kind="job", status="failed", reason="no <ink> left", title="X or O", finished=NOW),
    }
)


def test_every_job_and_study_is_in_one_row() -> None:
    named = [entry.name for row in rows(RESULTS) for entry in row.entries]
    assert set(named) >= {*JOBS, *STUDIES} - OWN_DATA and len(named) == len(set(named))


def test_every_state_is_shown() -> None:
    states = {entry.name: entry.state for row in rows(RESULTS) for entry in row.entries}
    assert states["fashion_cnn"] == "full run"
    assert states["cifar100_deep"] == "stand-in data"
    assert states["fashion_embedding"] == "quick run"
    assert states["xo_cnn"] == "failed"
    assert states["sine_rnn"] == "not run"


def test_a_figure_on_stand_in_data_is_not_compared() -> None:
    figures = {entry.name: entry.figures for row in rows(RESULTS) for entry in row.entries}
    assert figures["fashion_cnn"][0].difference == pytest.approx(0.0072)
    assert figures["cifar100_deep"][0].difference is None


def test_facts_are_asserted_if_all_runs_completed() -> None:
    asserted = {row.system.title: row.asserted for row in rows(RESULTS)}
    assert asserted["Fashion-MNIST, separable convolutions"]
    assert not asserted["Next value of a sine"]


def test_both_pages_show_figures_differences_and_failures(tmp_path: Path) -> None:
    readme, html = (path.read_text(encoding="utf-8") for path in page.write(tmp_path, RESULTS))
    for system in SYSTEMS:
        assert system.title in readme and system.title in html
    for text in ("0.8928", "+0.0072", "2 min", "random pictures", "quick run"):
        assert text in readme and text in html
    assert "no <ink> left" in readme and "no &lt;ink&gt; left" in html
    assert "<note>" not in html
    columns = {line.count(" | ") for line in readme.splitlines() if line.startswith("| ") and "`" in line}
    assert columns == {8}


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (None, False, "–"),
        (1e-16, True, "0"),
        (0.89277, False, "0.8928"),
        (1.60938, False, "1.6094"),
        (129.76, False, "129.76"),
        (0.0072, True, "+0.0072"),
        (-0.000067, True, "−6.7e−05"),
    ],
)
def test_numbers_are_formatted_for_people(value: float | None, signed: bool, text: str) -> None:
    assert number(value, signed=signed) == text


@pytest.mark.parametrize(
    ("change", "code", "files", "quick", "current"),
    [
        ({}, "abc", {"fashion-mnist": 5}, False, True),
        ({}, "abc", {}, False, True),  # as on a machine that downloads its data
        ({}, "abc", {"fashion-mnist": 6}, False, False),
        ({}, "other", {}, False, False),
        ({"quick": True}, "abc", {}, False, False),
        ({"quick": True}, "abc", {}, True, True),
        ({}, "abc", {}, True, True),
        ({"status": "failed"}, "abc", {}, False, False),
    ],
)
def test_a_result_is_current_for_the_same_code_and_files(
    change: dict[str, object], code: str, files: dict[str, int], quick: bool, current: bool
) -> None:
    assert FULL.model_copy(update=change).is_current(code, files, quick=quick) is current


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    RESULTS.write(tmp_path)
    assert Results.read(tmp_path) == RESULTS
    (tmp_path / RESULTS_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(JobError, match=r"results.json is invalid .* remove it"):
        Results.read(tmp_path)
