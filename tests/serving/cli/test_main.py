"""The `vitrine` command: its commands, and what a base install runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli.main import TRAINING, app
from tests.programs import REPOSITORY
from training.cli import commands
from training.core.catalogue import JOBS, STUDIES

SERVING = "models promote sign rollback canary predict embed forecast score up bench keys"
#: Packages that only the extras install.
EXTRAS = ("tensorflow", "keras", "onnx", "tf2onnx", "onnxruntime", "optuna", "matplotlib", "pyarrow", "yaml", "h5py")


def base_install(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `vitrine` in a process that cannot import the extras' packages; print what it has imported of training."""
    program = (
        "import atexit, sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "from serving.cli.main import app\n"
        "atexit.register(lambda: print('imported training:', 'training' in sys.modules))\n"
        "app(prog_name='vitrine')\n"
    )
    env = {**os.environ, "VITRINE_EXPORTS": str(REPOSITORY / "exports")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=env,
        timeout=120,
    )


def test_every_command_is_listed() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ") and line[2].isalpha()}
    assert listed == {*SERVING.split(), *TRAINING}


def test_training_commands_are_those_of_training() -> None:
    done = CliRunner().invoke(commands.app, ["--help"])
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ") and line[2].isalpha()}
    assert listed == set(TRAINING)


def test_models_of_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["models", "--exports", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "which is not a folder" in done.output
    assert CliRunner().invoke(app, ["models", "--exports", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["canary", "--help"], ["keys", "list"]])
def test_serving_commands_do_not_import_training(arguments: list[str], tmp_path: Path) -> None:
    folder = ["--exports", str(tmp_path)] if arguments == ["models"] else []
    done = base_install(*arguments, *folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("imported training: False\n")


def test_models_prints_whole_names() -> None:
    done = CliRunner().invoke(app, ["models", "--exports", str(REPOSITORY / "exports")])
    assert done.exit_code == 0, done.output
    assert all(f" {name} " in done.stdout for name in ("fashion_cnn", "fashion_embedding", "sine_rnn", "xo_cnn"))


def test_a_base_install_lists_jobs_and_studies() -> None:
    for command, names in (("train", JOBS), ("study", STUDIES)):
        done = base_install(command, "--list")
        assert done.returncode == 0, done.stderr
        assert all(f" {name} " in done.stdout for name in names)


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["train", "sine_rnn"], "keras"),
        (["study", "losses"], "matplotlib"),
        (["sweep", "sine_rnn"], "keras"),
        (["k8s", "job", "sine_rnn"], "yaml"),
    ],
)
def test_a_base_install_names_the_extra_that_a_training_command_needs(arguments: list[str], package: str) -> None:
    done = base_install(*arguments)
    assert done.returncode == 1, done.stderr
    assert done.stderr == (
        f"vitrine {arguments[0]} needs {package}, which is not installed: pip install 'vitrine-serving[training]'\n"
    )


def test_options_of_training_commands_are_passed_on() -> None:
    done = CliRunner().invoke(app, ["train", "--help"])
    assert done.exit_code == 0 and " train [OPTIONS] " in done.stdout and "--signing-key" in done.stdout
    done = CliRunner().invoke(app, ["train", "sine_rnn", "--learning-rate", "3"])
    assert done.exit_code == 2 and "No such option: --learning-rate" in done.stderr


def test_a_key_for_an_unknown_model_is_created_with_a_note(exports: Path, tmp_path: Path) -> None:
    command = ["keys", "create", "shop", "--model", "nope", "--model", "sine_rnn"]
    done = CliRunner().invoke(app, [*command, "--keys", str(tmp_path / "keys.json"), "--exports", str(exports)])
    assert done.exit_code == 0 and done.stdout.startswith("vt_")
    assert f"{exports} has no model nope; it has: clothing_photos, fashion_cnn, " in done.stderr
    assert "sine_rnn;" not in done.stderr
