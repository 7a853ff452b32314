"""Models for these tests: small ones by versions.py, foreign ones by foreign.py."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.programs import REPOSITORY
from tests.serving.model_server import versions


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of foreign SavedModels; see foreign.py. Not to be changed."""
    root = tmp_path_factory.mktemp("foreign")
    module = "tests.serving.model_server.foreign"
    made = subprocess.run(
        [sys.executable, "-m", module, str(root)], cwd=REPOSITORY, capture_output=True, text=True, timeout=200
    )
    assert made.returncode == 0, made.stderr
    extra = root / "mixed" / "1" / "assets.extra"
    extra.mkdir()
    onnx.save(versions.graph(2.0, 1.0), extra / "model.onnx")
    return root
