"""Models for these tests: small ones by versions.py, foreign ones by foreign.py."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from serving.models_config import ModelConfig
from tests.programs import REPOSITORY
from tests.serving.model_server import versions
from tests.serving.model_server.servers import Server, configure, serving


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of foreign SavedModels; see foreign.py. Not to be changed."""
    root = tmp_path_factory.mktemp("foreign")
    module = "tests.serving.model_server.foreign"
    made = subprocess.run(
        [sys.executable, "-m", module, str(root)], cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )
    assert made.returncode == 0, made.stderr
    extra = root / "mixed" / "1" / "assets.extra"
    extra.mkdir()
    onnx.save(versions.graph(2.0, 1.0), extra / "model.onnx")
    return root


@pytest.fixture(scope="session")
def foreign_server(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with all of them, run by TensorFlow (Lite). Not to be changed."""
    models = [ModelConfig(path.name, str(path)) for path in sorted(foreign.iterdir()) if path.is_dir()]
    config = configure(tmp_path_factory.mktemp("foreign_server"), models)
    flags = f"--model_config_file={config}", "--engine=tensorflow", "--prefer_tflite_model"
    with serving(*flags, rest=True) as server:
        yield server
