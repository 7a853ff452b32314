"""The user's folder of models: what it starts with, and what later releases may change in it."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.artifacts import manifest, models_config, user_models
from serving.artifacts.models_config import ModelConfig
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.rollout import canary
from tests.conftest import SHIPPED
from tests.programs import REPOSITORY

ALL = {model: [1] for model in SHIPPED}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def seed(mine: Path, shipped: Path) -> list[str]:
    said: list[str] = []
    user_models.seed(mine, shipped, said.append)
    return said


def versions(root: Path) -> dict[str, list[int]]:
    registry = ModelRegistry(root)
    return {model: registry.versions(model) for model in registry.models()}


def publish(root: Path, model: str, source: Path, mark: str) -> int:
    """Publish a copy of a version that differs from it in one file."""
    with ModelRegistry(root).staging(model) as directory:
        shutil.copytree(source, directory, dirs_exist_ok=True)
        (directory / "assets" / "mark").write_text(mark)
        return ModelRegistry(root).publish(model, directory)


def test_the_first_use_copies_the_shipped_models_once(exports: Path, mine: Path) -> None:
    (said,) = seed(mine, exports)
    assert "fashion_cnn version 1" in said and str(mine) in said
    assert versions(mine) == ALL
    assert (mine / "models.config").read_bytes() == (exports / "models.config").read_bytes()
    assert all(manifest.check(mine / model / "1") is None for model in SHIPPED)
    before = {path: path.stat().st_mtime_ns for path in mine.rglob("*")}
    assert seed(mine, exports) == []
    assert {path: path.stat().st_mtime_ns for path in mine.rglob("*")} == before


def test_no_shipped_models_leave_the_folder_alone(tmp_path: Path, mine: Path) -> None:
    assert seed(mine, tmp_path / "nowhere") == [] and not mine.exists()


def test_the_shipped_models_may_be_read_only(exports: Path, mine: Path) -> None:
    for path in exports.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    seed(mine, exports)
    assert all(path.stat().st_mode & 0o200 for path in mine.rglob("*"))


SEED = """
import sys
from pathlib import Path
from serving.artifacts.user_models import seed
seed(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_several_first_uses_at_once_copy_once(exports: Path, mine: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", SEED, mine, exports], cwd=REPOSITORY) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert versions(mine) == ALL
    assert (mine / "models.config").read_bytes() == (exports / "models.config").read_bytes()


@pytest.mark.parametrize("when", ["fashion_cnn", "fashion_embedding/1", "models.config"])
def test_a_killed_first_use_is_completed_by_the_next(exports: Path, mine: Path, when: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", SEED, mine, exports], cwd=REPOSITORY)
    while not (mine / when).exists() and process.poll() is None:
        time.sleep(0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (mine / ".shipped").unlink(missing_ok=True)  # the process may have been faster than the signal
    seed(mine, exports)
    assert versions(mine) == ALL
    assert (mine / "models.config").read_bytes() == (exports / "models.config").read_bytes()
    assert all(manifest.check(mine / model / "1") is None for model in SHIPPED)
    assert not list(mine.glob("*/.staging-*"))


def test_a_removed_model_stays_removed_also_with_a_new_version(exports: Path, mine: Path) -> None:
    seed(mine, exports)
    shutil.rmtree(mine / "sine_rnn")
    assert seed(mine, exports) == []
    publish(exports, "sine_rnn", exports / "sine_rnn" / "1", "new")
    assert seed(mine, exports) == []
    assert "sine_rnn" not in versions(mine)


def test_a_removed_model_is_no_longer_in_models_config(exports: Path, mine: Path) -> None:
    seed(mine, exports)
    shutil.rmtree(mine / "sine_rnn")
    config = mine / "models.config"
    elsewhere = ModelConfig("other", "/elsewhere/other")
    config.write_text(models_config.render(models_config.read(config) | {"other": elsewhere}))
    said: list[str] = []
    user_models.unlist_removed(mine, said.append)
    assert said == [f"{config} no longer lists sine_rnn, which has no version"]
    assert set(ModelRegistry(mine).configured()) == {*SHIPPED, "other"} - {"sine_rnn"}
    user_models.unlist_removed(mine, said.append)
    assert len(said) == 1


def test_a_later_release_adds_models_and_leaves_the_users_alone(exports: Path, mine: Path) -> None:
    later = exports.with_name("later")
    shutil.copytree(exports, later)
    shutil.rmtree(exports / "xo_cnn")
    seed(mine, exports)
    publish(mine, "fashion_cnn", exports / "fashion_cnn" / "1", "mine")
    ModelRegistry(mine).promote("fashion_cnn", 2)
    publish(later, "stock_rnn", later / "stock_rnn" / "1", "new")
    ModelRegistry(later).promote("stock_rnn", 2)
    (said,) = seed(mine, later)
    assert "stock_rnn version 2, xo_cnn version 1" in said
    registry = ModelRegistry(mine)
    assert registry.labels("fashion_cnn") == {"stable": 2, "previous": 1}
    assert registry.labels("xo_cnn") == {"stable": 1}
    assert registry.versions("stock_rnn") == [1, 2]
    assert registry.labels("stock_rnn") == {"stable": 1}


def test_a_shipped_version_does_not_replace_the_users_version_of_its_number(exports: Path, mine: Path) -> None:
    seed(mine, exports)
    publish(mine, "sine_rnn", exports / "sine_rnn" / "1", "mine")
    registry = ModelRegistry(mine)
    registry.unlabel("sine_rnn", "stable")  # the newest version is live
    publish(exports, "sine_rnn", exports / "sine_rnn" / "1", "shipped")
    (said,) = seed(mine, exports)
    assert "sine_rnn version 3" in said
    assert (mine / "sine_rnn/2/assets/mark").read_text() == "mine"
    assert (mine / "sine_rnn/3/assets/mark").read_text() == "shipped"
    assert registry.live("sine_rnn") == 2 and registry.configured()["sine_rnn"].labels == {"stable": 2}


def test_models_trained_into_a_checkouts_exports_are_taken_over(exports: Path, mine: Path) -> None:
    registry = ModelRegistry(exports)
    publish(exports, "fashion_cnn", exports / "fashion_cnn" / "1", "mine")
    registry.promote("fashion_cnn", 2)
    publish(exports, "fashion_cnn", exports / "fashion_cnn" / "1", "canary")
    canary(registry, "fashion_cnn", 3, 10)
    shutil.copytree(exports / "xo_cnn" / "1", exports / "xo_mobilenet" / "1")
    seed(mine, exports)
    assert versions(mine) == ALL | {"fashion_cnn": [1, 2, 3], "xo_mobilenet": [1]}
    assert ModelRegistry(mine).labels("fashion_cnn") == {"stable": 2, "previous": 1, "canary": 3}
    assert ModelRegistry(mine).routing() == registry.routing() != {}
    assert ModelRegistry(mine).labels("xo_mobilenet") == {"stable": 1}, "also if models.config does not name it"


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITRINE_EXPORTS", raising=False)
    assert user_models.default_exports() == Path(".vitrine/exports")
    assert versions(Path(".vitrine/exports")).keys() >= set(SHIPPED)
    monkeypatch.setenv("VITRINE_EXPORTS", "/elsewhere")
    assert user_models.default_exports() == Path("/elsewhere")


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITRINE_EXPORTS", raising=False)
    Path(".vitrine").write_text("")
    with pytest.raises(
        RegistryError,
        match=r"\.vitrine/exports, the folder of your models, cannot be written: .* --exports or VITRINE_EXPORTS",
    ):
        user_models.default_exports()
