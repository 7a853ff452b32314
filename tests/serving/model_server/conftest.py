"""A server of the foreign models."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.artifacts.models_config import ModelConfig
from tests.serving.model_server.servers import Server, configure, serving


@pytest.fixture(scope="session")
def foreign_server(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with all of them, run by TensorFlow (Lite). Not to be changed."""
    models = [ModelConfig(path.name, str(path)) for path in sorted(foreign.iterdir()) if path.is_dir()]
    config = configure(tmp_path_factory.mktemp("foreign_server"), models)
    flags = f"--model_config_file={config}", "--engine=tensorflow", "--prefer_tflite_model"
    with serving(*flags, rest=True) as server:
        yield server
