"""Backup, restore and rollback on a cluster: the commands of the page, with a folder in place of the claim."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from serving.artifacts import manifest
from serving.artifacts.registry import ModelRegistry
from tests.programs import EXPORTS, REPOSITORY

PAGE = (REPOSITORY / "docs/how-to/backup.md").read_text()


def in_the_pod(word: str, claim: Path, folder: Path) -> str:
    """Run the page's ``kubectl exec copy`` with this word as the pod would, in ``folder``. Returns what it printed."""
    (command,) = re.findall(rf"^\$ kubectl -n vitrine exec (?:-i )?copy(?: -c vitrine)? -- (.*{word}.*)$", PAGE, re.M)
    command = re.sub(r"(?<= )/models(?= |$)", str(claim), command).replace("/usr/bin/python3.11", sys.executable)
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_claim_is_restored_and_rolled_back(tmp_path: Path) -> None:
    claim, restored = tmp_path / "claim", tmp_path / "restored"
    shutil.copytree(EXPORTS / "sine_rnn", claim / "fashion_cnn")
    first = ModelRegistry(claim).versions("fashion_cnn")[0]
    shutil.copytree(claim / "fashion_cnn" / str(first), claim / "fashion_cnn" / str(first + 5))
    registry = ModelRegistry(claim)
    registry.promote("fashion_cnn", first)
    registry.promote("fashion_cnn", first + 5)
    (claim / "fashion_cnn" / ".staging-1").mkdir()
    restored.mkdir()

    in_the_pod("-czf", claim, tmp_path)
    in_the_pod("-xzof", restored, tmp_path)

    again = ModelRegistry(restored)
    assert again.versions("fashion_cnn") == registry.versions("fashion_cnn")
    assert again.labels("fashion_cnn") == registry.labels("fashion_cnn")
    assert manifest.check(restored / "fashion_cnn" / str(first)) is None
    assert not (restored / "fashion_cnn" / ".staging-1").exists()

    assert f"stable is version {first} " in in_the_pod("rollback", restored, tmp_path)
    assert ModelRegistry(restored).live("fashion_cnn") == first
