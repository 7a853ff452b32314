"""``vitrine up``: its greeting, and what is checked before anything slow."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from serving.cli.up import greeting
from tests.programs import REPOSITORY, free_port


def test_the_greeting_names_only_served_models() -> None:
    text = "\n".join(greeting("http://127.0.0.1:8000", Path("logs"), ["sine_rnn", "xo_mobilenet"]))
    assert "at http://127.0.0.1:8000 with sine_rnn, xo_mobilenet\n" in text
    assert "sine_rnn:forecast" in text and "fashion_cnn" not in text and "xo_cnn" not in text
    lines = greeting("http://127.0.0.1:8000", Path("logs"), ["own"], keyed=True)
    assert lines[-1] == '  curl -H "Authorization: Bearer $VITRINE_KEY" http://127.0.0.1:8000/v1/models'


def test_ports_are_checked_before_training_and_installing(exports: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "serving.cli.main", "up", "--train-missing", f"--port={port}"]
        up = subprocess.run([*command, f"--exports={exports}"], capture_output=True, text=True, cwd=REPOSITORY)
        # Without the variables of a make that runs the tests.
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        made = subprocess.run(["make", "up", f"PORT={port}"], capture_output=True, text=True, cwd=REPOSITORY, env=env)
    assert up.returncode == 1 and f"port {port} is taken by another program" in up.stderr and not up.stdout
    assert made.returncode == 2 and not made.stdout
    start = f"port {port} cannot be used (Address already in use): choose another with make up PORT=8001\n"
    assert made.stderr.startswith(start)


def test_make_up_repairs_an_environment_whose_creation_was_interrupted(tmp_path: Path) -> None:
    # venv makes python first and pip last; here pip fails before it downloads anything.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_"))}
    made = subprocess.run(
        ["make", "up", f"PORT={free_port()}", f"VENV={tmp_path}", f"PYTHON={sys.executable}"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=env | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull},
    )
    assert made.returncode == 2 and (tmp_path / "bin/pip").exists()
    assert "pip could not install the packages; it needs PyPI or another package index." in made.stderr


def test_a_folder_without_models(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.cli.main", "up", f"--port={free_port()}", f"--exports={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr == (
        f"{tmp_path} has no models; train one with: vitrine train fashion_cnn --exports {tmp_path}\n"
    )
