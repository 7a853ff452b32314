"""Fixtures for all tests: copies of the shipped models, and real data sets."""

import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

from serving.artifacts.registry import ModelRegistry
from tests.programs import shipped

# Examples may be slow on a busy machine. "chaos" is for `make chaos`.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.register_profile("chaos", hypothesis.settings.get_profile("patient"), max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))

# A job in the background of a shell ignores SIGINT, and so would the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Programs that the tests start wrap their messages at 80 columns, and the folders of tests may have long names.
os.environ.setdefault("COLUMNS", "200")

SHIPPED = (
    *("clothing_photos", "fashion_cnn", "fashion_embedding", "fashion_metric"),
    *("sine_rnn", "stock_rnn", "xo_cnn"),
)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Copy version 1 of each shipped model, labelled stable."""
    root = tmp_path / "exports"
    for model in SHIPPED:
        shutil.copytree(shipped(model), root / model / "1")
        ModelRegistry(root).promote(model, 1)
    return root


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets in VITRINE_DATA. Tests that need it are skipped without it."""
    folder = os.environ.get("VITRINE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("VITRINE_DATA names no folder of real data sets")
    return Path(folder)
