"""Fingerprints: code and data files count, comments and docstrings do not."""

from pathlib import Path

import pytest

from training.reproduction import fingerprint

MODULE = "training.jobs.toy"
CODE = '''"""Expect {words}."""
from training.data import toy
def load(): return toy.load() * {factor}  # {words}
'''


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two modules, and a data folder with one file that they name and one that they do not."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path / "data"))
    for name in ("training/jobs", "training/data", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "training/jobs/toy.py").write_text(CODE.format(words="little", factor=1))
    (tmp_path / "training/data/toy.py").write_text('NAME = "toy.npz"\ndef load(): return 1\n')
    (tmp_path / "data" / "toy.npz").write_bytes(b"12345")
    (tmp_path / "data" / "other.npz").write_bytes(b"1")
    return tmp_path


def test_comments_and_docstrings_do_not_count(tree: Path) -> None:
    before = fingerprint.code(MODULE)
    (tree / "training/jobs/toy.py").write_text(CODE.format(words="more", factor=1))
    assert fingerprint.code(MODULE) == before


@pytest.mark.parametrize(
    ("path", "text"),
    [("training/jobs/toy.py", CODE.format(words="little", factor=2)), ("training/data/toy.py", 'NAME = "toy.npz"\n')],
)
def test_imported_code_counts(tree: Path, path: str, text: str) -> None:
    before = fingerprint.code(MODULE)
    (tree / path).write_text(text)
    assert fingerprint.code(MODULE) != before


def test_the_place_of_a_module_does_not_count(tree: Path) -> None:
    before = fingerprint.code(MODULE)
    (tree / "training/data/toys").mkdir()
    (tree / "training/data/toy.py").rename(tree / "training/data/toys/toy.py")
    job = tree / "training/jobs/toy.py"
    job.write_text(job.read_text().replace("from training.data import", "from training.data.toys import"))
    assert fingerprint.code(MODULE) == before


def test_another_library_counts(tree: Path) -> None:
    before = fingerprint.code(MODULE)
    job = tree / "training/jobs/toy.py"
    job.write_text(job.read_text() + "from math import sqrt as load\n")
    assert fingerprint.code(MODULE) != before


def test_files_that_the_code_names_count(tree: Path) -> None:
    assert fingerprint.files(MODULE) == {"toy.npz": 5}


def test_without_a_data_folder_no_files_count(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINE_DATA")
    assert fingerprint.files(MODULE) == {}


def test_a_job_depends_on_its_data_and_layers_not_on_the_machinery() -> None:
    found = set(fingerprint._closure("training.jobs.fashion_resnet"))
    assert {"training.models.layers", "training.data.fashion_mnist", "training.jobs.fashion_inception"} <= found
    assert not found & {
        "training.core.gate",
        "training.core.job",
        "training.export.exported_model",
        "serving.artifacts.model_card",
    }
