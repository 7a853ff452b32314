"""``vitrine reproduce``: one failure does not stop it, and results that are up to date are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.artifacts.model_card import CARD_FILE
from tests.conftest import SHIPPED
from tests.programs import REPOSITORY
from training.core.catalogue import check_names
from training.core.errors import JobError
from training.reproduction import runner
from training.reproduction.results import Results

PROGRAM = (sys.executable, "-m", "serving.cli.main", "reproduce")


def folders(tmp_path: Path, exports: Path) -> runner.Folders:
    return runner.Folders(docs=tmp_path / "docs", exports=exports, work=tmp_path / "work")


def test_one_failure_is_reported_and_the_rest_runs(tmp_path: Path) -> None:
    broken = tmp_path / "data" / "boston_housing.npz"
    broken.parent.mkdir()
    broken.write_bytes(b"no archive")
    arguments = ["--docs", str(tmp_path / "docs"), "--work", str(tmp_path / "work"), "--exports", str(tmp_path / "ex")]

    def reproduce() -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, "boston_default", "losses", *arguments]
        env = {**os.environ, "VITRINE_DATA": str(broken.parent)}
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=env, timeout=240)

    done = reproduce()
    assert done.returncode == 1 and "failed: boston_default;" in done.stderr, done.stdout + done.stderr
    results = Results.read(tmp_path / "docs").results
    assert results["boston_default"].status == "failed"
    reason = results["boston_default"].reason or ""
    assert reason.startswith("Boston Housing in VITRINE_DATA cannot be read") and reason in done.stdout
    assert results["losses"].status == "done" and results["losses"].figures["0-1"] == 0.2
    assert (tmp_path / "docs" / "plots" / results["losses"].plots[0]).is_file()
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=REPOSITORY).stdout
    assert (results["losses"].commit or "").rstrip("+") == head[:10]
    assert "cannot be read" in (tmp_path / "docs" / "index.md").read_text(encoding="utf-8")

    again = reproduce()
    assert "losses: up to date" in again.stdout and "boston_default: failed" in again.stdout


def test_a_result_on_stand_in_data_is_kept_while_its_code_is_unchanged(tmp_path: Path) -> None:
    arguments = ["--docs", str(tmp_path / "docs"), "--work", str(tmp_path / "work"), "--exports", str(tmp_path / "ex")]
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    env = {**os.environ, **nowhere, "VITRINE_DATA": "", "KERAS_HOME": str(tmp_path / "keras")}

    def reproduce() -> tuple[str, Results]:
        command = [*PROGRAM, "cifar100_shallow", "--quick", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=env, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, Results.read(docs)

    stale = Results.read(REPOSITORY / "docs" / "reproduction").results["cifar100_shallow"]
    stale = stale.model_copy(update={"code": "of another time", "quick": True})
    docs = tmp_path / "docs"
    docs.mkdir()
    Results(results={"cifar100_shallow": stale}).write(docs)
    output, first = reproduce()
    assert "is kept" not in output
    assert first.results["cifar100_shallow"].stand_in
    plots = ("confusion", "history", "pictures")
    assert first.results["cifar100_shallow"].plots == tuple(f"cifar100_shallow-{plot}.png" for plot in plots)
    assert not (tmp_path / "ex" / "cifar100_shallow").exists(), "a quick run is not published"
    assert first.results["cifar100_shallow"].finished > stale.finished
    output, second = reproduce()
    assert "the result on stand-in data is kept" in output and second.results == first.results


FIT = ["model: 369 parameters", "epoch 16 of 16 ━━━━━━━━ 100 % 0:00:17 left 0:00:00 loss 2.63", "│ loss │ 2.63 │"]
REFUSED = ["gate: test_accuracy is 0.06; at least 0.1 is required", "The gate refused it: nothing was published."]


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (runner.Ended(1, FIT, ["a warning\n", "the CSV has a gap\n", "\n"]), "the CSV has a gap"),
        (runner.Ended(1, [], ["Traceback …\n", "  File …\n", "ValueError: nothing\n"]), "ValueError: nothing"),
        (
            runner.Ended(2, [*FIT, *REFUSED], ["a warning\n"]),
            "the gate refused it: test_accuracy is 0.06; at least 0.1 is required",
        ),
        (runner.Ended(-9, FIT, []), "ended by signal 9"),
        (runner.Ended(3, FIT, ["\n"]), "ended with exit code 3 and no message"),
    ],
)
def test_a_failure_has_a_reason_without_terminal_output(ended: runner.Ended, reason: str) -> None:
    assert ended.reason == reason


def test_versions_that_a_user_trained_are_added(tmp_path: Path, exports: Path) -> None:
    results = Results()
    runner.add_published(results, folders(tmp_path, exports))
    assert set(results.results) == set(SHIPPED)
    made = results.results["fashion_cnn"]
    assert made.version == 1 and made.printed["train_accuracy"] == 0.911 and made.code is None
    assert set(made.plots) == {"fashion_cnn-confusion.png", "fashion_cnn-history.png"}
    assert (tmp_path / "docs" / "plots" / "fashion_cnn-history.png").is_file()


def test_an_unreadable_card_is_ignored(tmp_path: Path, exports: Path) -> None:
    (exports / "sine_rnn" / "1" / CARD_FILE).write_text("{", encoding="utf-8")
    results = Results()
    runner.add_published(results, folders(tmp_path, exports))
    assert set(results.results) == set(SHIPPED) - {"sine_rnn"}


def test_names_are_checked_before_anything_runs() -> None:
    assert "losses" in check_names([])
    with pytest.raises(JobError, match="there is no job or study fashion; there are: "):
        check_names(["fashion"])
