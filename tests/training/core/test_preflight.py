"""A mistake in a training command is reported before TensorFlow is imported."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import REPOSITORY

#: A command, its exit code, and words of its message. {TMP} is a folder with the shipped models in {TMP}/exports.
WRONG = {
    "train nope": (1, "there is no job nope; there are: boston_decay, "),
    "train sine_rnn --data-dir x": (1, "sine_rnn takes no --data-dir; these jobs do: "),
    "train xo_cnn --stand-in": (1, "xo_cnn takes no --stand-in; these jobs do: "),
    "train sine_rnn --unit EUR": (
        1,
        "sine_rnn takes no --unit; these jobs do: forecaster, stock_forecaster, stock_rnn",
    ),
    "train xo_mobilenet --head relu": (2, "Invalid value for '--head'"),
    "train stock_rnn --csv {TMP}/nope.csv": (1, "nope.csv"),
    "train stock_rnn --csv {TMP}/params.json": (1, "params.json is JSON, not a CSV; convert it to a header"),
    "train stock_rnn --column Close": (1, "--column needs --csv"),
    "train xo_cnn --data-dir {TMP}/nope": (1, "nope; a folder with one folder of pictures for each class"),
    "train xo_cnn --data-dir {TMP}/empty": (1, " holds no pictures; bmp, dib"),
    "train xo_cnn --data-dir {TMP}/pets": (1, "O and X are expected"),
    "train forecaster": (1, "--csv is missing: a file with one row for each time"),
    "train image_classifier": (1, "--data-dir is missing: a folder or ZIP file"),
    "train image_classifier --data-dir {TMP}/nope": (1, "nope"),
    "train mnist_transfer --from-version 7": (1, "fashion_cnn has no version 7; there are: 3"),
    "train sine_rnn --params {TMP}/nope.json": (1, "nope.json cannot be read"),
    "train sine_rnn --params {TMP}/params.json": (1, "there is no parameter rate; there are: epochs, "),
    "train sine_rnn --as ../mine": (1, "'../mine' is not a model name"),
    "train sine_rnn --as my-sine": (1, "first a letter, such as 'my_sine'"),
    "train sine_rnn --label 3rd": (1, "'3rd' is not a label"),
    "train sine_rnn --signing-key {TMP}/nope.pem": (1, "nope.pem is not a private key"),
    "train sine_rnn --exports {TMP}/params.json": (1, "--exports is {TMP}/params.json, and {TMP}/params.json is not a"),
    "train sine_rnn --exports s4://bucket": (1, "s4://bucket cannot be used"),
    "train sine_rnn --runs {TMP}/params.json/runs": (1, "--runs is {TMP}/params.json/runs, and {TMP}/params.json is"),
    "train fashion_cnn --stand-in": (2, "fashion_cnn would be refused: trained on stand-in data; live version 3 is on"),
    "train fashion_cnn --quick --as fashion_cnn": (2, "a quick run may not replace live version 3"),
    "train stock_rnn --csv {TMP}/prices.csv": (
        2,
        "on your own data, live version 2 on GOOG daily, 2004-08-19 to 2008-",
    ),
    "study nope": (1, "there is no study nope; there are: bagging, "),
    "study losses --stand-in": (1, "losses takes no --stand-in; these studies do: bagging, regularisation"),
    "study losses --folder {TMP}/params.json": (1, "--folder is {TMP}/params.json/losses, and {TMP}/params.json is"),
    "sweep nope": (1, "there is no job nope"),
    "sweep compound_interest": (1, "compound_interest has no hyper-parameters to search"),
    "sweep sine_rnn --storage mysql://x": (1, "--storage is mysql://x; sqlite:///FILE or postgresql://"),
    "sweep sine_rnn --out {TMP}/params.json/x": (1, "--out is {TMP}/params.json, and {TMP}/params.json is not a"),
    "reproduce nope": (1, "there is no job or study nope"),
    "k8s job nope": (1, "there is no job nope"),
    "k8s job sine_rnn --data-dir x": (1, "sine_rnn takes no --data-dir"),
    "k8s job sine_rnn --learning-rate 3": (2, "No such option: --learning-rate"),
    "k8s sweep sine_rnn --storage-secret s --trial 3": (2, "No such option: --trial"),
}

RUN_ALL = """
import json, sys
from typer.testing import CliRunner
from training.cli.commands import app

results = {}
for command in json.load(sys.stdin):
    done = CliRunner().invoke(app, command.split(), env={"COLUMNS": "300"})
    modules = [name for name in ("tensorflow", "keras") if name in sys.modules]
    results[command] = (done.exit_code, done.stdout + done.stderr + repr(done.exception), modules)
json.dump(results, sys.stdout)
"""


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preflight")
    (folder / "params.json").write_text('{"rate": 0.1}')
    (folder / "empty").mkdir()
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=day) for day in range(400)]
    rows = [f"{day},{100 + index % 7}" for index, day in enumerate(days)]
    (folder / "prices.csv").write_text("\n".join(["Date,Close", *rows]))
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        shutil.copy(REPOSITORY / "examples" / "cross.jpg", folder / "pets" / name)
    return folder


@pytest.fixture(scope="module")
def results(tmp: Path) -> dict[str, tuple[int, str, list[str]]]:
    commands = json.dumps([command.replace("{TMP}", str(tmp)) for command in WRONG])
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=commands, capture_output=True, text=True, check=True, cwd=tmp,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    found: dict[str, tuple[int, str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", WRONG)
def test_a_mistake_is_reported_before_tensorflow_is_imported(
    command: str, results: dict[str, tuple[int, str, list[str]]], tmp: Path
) -> None:
    code, words = WRONG[command]
    found, output, modules = results[command.replace("{TMP}", str(tmp))]
    assert (found, modules) == (code, []), output
    assert words.replace("{TMP}", str(tmp)) in output
    assert "Traceback" not in output


def test_a_mistaken_name_leaves_no_folder_of_models(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "nope"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 1 and not list(tmp_path.iterdir())
