"""Runs and labels on a real MLflow server, in an environment of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.programs import REPOSITORY, free_port, shipped
from tests.sdks import environments


@pytest.mark.timeout(900)  # the environment may be built first
def test_runs_and_labels_are_recorded_on_an_mlflow_server() -> None:
    program = Path(__file__).parent / "programs" / "with_mlflow.py"
    addresses = {"SHIPPED": str(shipped("fashion_cnn")), "FREE_PORT": str(free_port()), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [environments.python("mlflow"), program],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **addresses},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok rollback" in done.stdout
