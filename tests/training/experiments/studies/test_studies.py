"""Every study, with its quick recipe."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from serving.cli.main import app
from training.core.catalogue import STUDIES, find_study
from training.core.errors import JobError
from training.core.job import JobOptions
from training.experiments.studies import batch_size, learning_rate_decay, regularisation
from training.experiments.study import FINDINGS_FILE, PLOT_FILE, TABLE_FILE, Findings, perform

ROWS = {
    "bagging": 5,
    "batch_size": 3,
    "coarse_to_fine": 6,
    "learning_rate_decay": len(learning_rate_decay.SCHEDULES),
    "losses": 11,
    "regularisation": len(regularisation.REMEDIES),
    "ten_pictures": 4,
    "transfer": 2,
}
ON_REAL_DATA = {"batch_size", "coarse_to_fine", "learning_rate_decay", "ten_pictures", "transfer"}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_writes_a_table_and_a_plot(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name in ON_REAL_DATA:
        request.getfixturevalue("data")
    study, said = find_study(name), []
    findings = perform(study, JobOptions(quick=True, stand_in=study.takes_stand_in), tmp_path, said.append)
    assert study.name == name
    assert len(findings.rows) == ROWS[name] and all(len(row) == len(findings.columns) for row in findings.rows)
    assert findings.quick and bool(findings.stand_in) == study.takes_stand_in
    assert Findings.model_validate_json((tmp_path / FINDINGS_FILE).read_bytes()) == findings
    table = (tmp_path / TABLE_FILE).read_text(encoding="utf-8")
    assert study.title in table and "quick run" in table
    assert table.count("\n| ") == 2 + len(findings.rows)
    with Image.open(tmp_path / PLOT_FILE) as plot:
        assert plot.width > 500
    if study.printed:
        assert set(findings.figures) <= set(study.printed)


def test_a_study_without_a_stand_in_refuses_the_option(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="losses takes no --stand-in"):
        perform(find_study("losses"), JobOptions(stand_in=True), tmp_path, print)


def test_batch_sizes_have_the_courses_epochs_and_rates() -> None:
    assert [batch_size.epochs_for(size) for size in batch_size.SIZES] == list(range(10, 18))
    assert [batch_size.schedule(epoch, 0.02) for epoch in (0, 5, 6)] == [0.02, 0.02, 0.0181]


def test_the_command_prints_the_table_and_the_names(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["study", "losses", "--folder", str(tmp_path)])
    assert done.exit_code == 0 and "0.4487" in done.stdout
    assert (tmp_path / "losses" / PLOT_FILE).is_file()
    listed = CliRunner().invoke(app, ["study", "--list"])
    assert all(name in listed.stdout for name in STUDIES)
    unknown = CliRunner().invoke(app, ["study", "loss"])
    assert unknown.exit_code == 1 and "there is no study loss; there are: bagging" in unknown.stderr
