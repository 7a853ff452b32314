"""The page shows every system with its figures and states, in both languages."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.programs import REPOSITORY
from training.core.catalogue import JOBS, OWN_DATA, STUDIES
from training.core.errors import JobError
from training.reproduction import page
from training.reproduction.results import RESULTS_FILE, Results, SystemResult
from training.reproduction.rows import number, rows
from training.reproduction.systems import SYSTEMS
from training.reproduction.words import NAMES, WORDS

DOCS = REPOSITORY / "docs" / "reproduction"
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
    asserted = {row.system.title.en: row.asserted for row in rows(RESULTS)}
    assert asserted["Fashion-MNIST with separable convolutions"]
    assert not asserted["Next value of a sine"]


def test_both_languages_show_every_system_with_figures_and_states(tmp_path: Path) -> None:
    english, portuguese = (path.read_text(encoding="utf-8") for path in page.write(tmp_path, RESULTS))
    for system in SYSTEMS:
        for text in (system.title, system.place, system.exercise, system.differences):
            assert text.en in english and text.pt in portuguese
    assert all(text in english for text in ("0.8928", "+0.0072", "2 min", "Stand-in data", "Quick run", "not run"))
    assert all(text in portuguese for text in ("0,8928", "+0,0072", "2 min", "Dados substitutos", "Execução rápida"))
    assert "no <ink> left" in english and "no <ink> left" in portuguese


@pytest.fixture(params=page.FILES)
def published(request: pytest.FixtureRequest) -> str:
    """The page of the repository in each language."""
    return str(request.param)


def test_the_page_is_that_of_the_results(published: str) -> None:
    """``vitrine reproduce --no-run`` would change nothing."""
    made = page.page(Results.read(DOCS), page.FILES[published])
    assert (DOCS / published).read_text(encoding="utf-8") == made


def test_no_plot_is_missing_or_left_over(published: str) -> None:
    shown = set(re.findall(r"\]\(plots/(.+?)\)", (DOCS / published).read_text(encoding="utf-8")))
    assert shown == {path.name for path in (DOCS / "plots").iterdir()}


def test_every_figure_heading_and_cell_has_a_translation() -> None:
    entries = [entry for row in rows(Results.read(DOCS)) for entry in row.entries]
    shown = {figure.name for entry in entries for figure in entry.figures if entry.result and not entry.result.rows}
    results = [entry.result for entry in entries if entry.result and not entry.result.printed]
    shown |= {
        cell for result in results for row in (result.columns, *result.rows) for cell in row if isinstance(cell, str)
    }
    assert shown - set(WORDS) == set()
    assert set(NAMES) <= set(WORDS)


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
