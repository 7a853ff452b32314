"""Fixtures of several programs: foreign SavedModels and an S3 server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from tests import s3
from tests.programs import REPOSITORY
from tests.serving.model_server import versions


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Port of an S3 server for all tests. Each test creates its own bucket."""
    with s3.server() as port:
        yield port


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SavedModels from other projects, see foreign.py. Tests must not change it."""
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
