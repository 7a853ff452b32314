"""Fixtures for all tests. Programs are real (tests/programs.py); models are the shipped ones, copied."""

import shutil
from pathlib import Path

import pytest

from tests.programs import REPOSITORY

SHIPPED = ("fashion_cnn", "fashion_embedding", "sine_rnn", "stock_rnn", "xo_cnn")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A copy of the repository's version 1 of the shipped models, with its models.config as a clone has it."""
    root = tmp_path / "exports"
    for model in SHIPPED:
        shutil.copytree(REPOSITORY / "exports" / model / "1", root / model / "1")
    shutil.copy(REPOSITORY / "exports" / "models.config", root / "models.config")
    return root
