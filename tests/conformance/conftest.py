"""The server under test; README.md says how to choose it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.server import Server, started, wait_until
from tests.programs import REPOSITORY


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that models.py writes; no case changes it."""
    if "TF_SERVING_MODELS" in os.environ:
        return Path(os.environ["TF_SERVING_MODELS"])
    root = tmp_path_factory.mktemp("conformance")
    written = subprocess.run(
        [sys.executable, "-m", "tests.conformance.models", str(root)],
        cwd=REPOSITORY,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert written.returncode == 0, written.stderr
    return root


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Server]:
    """One server with all models, which no case changes.

    Its ports open when each model has one version, so wait for the other version.
    """
    both = [(2, "AVAILABLE"), (1, "AVAILABLE")]
    if "TF_SERVING_ADDRESS" in os.environ:
        server = Server(os.environ["TF_SERVING_ADDRESS"], os.environ["TF_SERVING_REST_ADDRESS"])
        wait_until(lambda: server.states("half_plus_two") == both)
        yield server
        return
    with started(
        f"--model_config_file={models / 'models.config'}",
        f"--monitoring_config_file={models / 'monitoring.config'}",
        "--allow_version_labels_for_unavailable_models",
    ) as server:
        wait_until(lambda: server.states("half_plus_two") == both)
        yield server


@pytest.fixture(autouse=True)
def _own_process(request: pytest.FixtureRequest) -> None:
    needs = request.node.get_closest_marker("own_process")
    if needs and "TF_SERVING_ADDRESS" in os.environ and "TF_SERVING_COMMAND" not in os.environ:
        pytest.skip("needs TF_SERVING_COMMAND, to start a server of its own")
