"""Training, changing versions and `vitrine up` change no tracked file of a clone."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.artifacts.registry import ModelRegistry
from tests.programs import REPOSITORY, Program, free_port

Run = Callable[..., str]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this tree, with what is not committed yet."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("a git checkout is needed")
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, origin / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message=tree"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    subprocess.run(["git", "clone", "--quiet", origin, clone], check=True)
    return clone


@pytest.fixture
def run(clone: Path) -> Run:
    """Run a command in the clone, with the clone's code, and return its output."""

    def run(*command: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("VITRINE_EXPORTS", None)
        done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_git_status_stays_clean_and_git_takes_no_model_away(clone: Path, run: Run) -> None:
    vitrine = (sys.executable, "-m", "serving.cli.main")
    assert "published as version 1, live" in run(
        sys.executable, "-m", "training", "sine_rnn", "--quick", "--as", "mine"
    )
    exports = clone / ".vitrine" / "exports"
    live = ModelRegistry(exports).live("fashion_cnn")
    assert live is not None
    shutil.copytree(exports / "fashion_cnn" / str(live), exports / "fashion_cnn" / str(live + 1))
    run(*vitrine, "promote", "fashion_cnn", str(live + 1))
    run(*vitrine, "canary", "fashion_cnn", str(live), "10")
    run(*vitrine, "canary", "fashion_cnn", "--off")
    run(*vitrine, "rollback", "fashion_cnn")
    port = free_port()
    env = {"PYTHONPATH": str(clone), "VITRINE_EXPORTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
    program = Program([*vitrine, "up", f"--port={port}"], env=env, folder=clone)
    try:
        program.wait_for("sine_rnn:forecast")
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/models/mine:forecast", json={"history": [0.3, 0.6], "horizon": 1}
        )
        assert answer.status_code == 200 and answer.json()["version"] == 1
    finally:
        program.stop(signal.SIGINT)
    assert run("git", "status", "--porcelain") == ""
    assert "No local changes" in run("git", "stash", "--include-untracked")
    run("git", "clean", "--force", "-d")
    registry = ModelRegistry(exports)
    assert registry.versions("mine") == [1] and registry.labels("fashion_cnn") == {"stable": live, "previous": live + 1}
