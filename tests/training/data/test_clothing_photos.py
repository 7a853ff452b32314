"""The clothing photographs come from VITRINE_DATA or a download."""

from pathlib import Path

import pytest

from training.core.errors import JobError
from training.data import clothing_photos


def test_the_local_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    (tmp_path / clothing_photos.ARCHIVE).write_bytes(b"")
    assert clothing_photos.archive() == tmp_path / clothing_photos.ARCHIVE


def test_a_failed_download_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # refuses connections
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(JobError, match=clothing_photos.ARCHIVE):
        clothing_photos.archive()
