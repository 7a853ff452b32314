"""Environments of the clients under ``.vitrine/sdks/NAME``: built on first use, and again when the lock file changes.

Each has the packages of its lock file and nothing else, by hash. They are kept apart from the project's own environment
because they pin other versions of the same packages.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.programs import REPOSITORY

_ROOT = REPOSITORY / ".vitrine" / "sdks"
_LOCKS = REPOSITORY / "requirements" / "sdks"
NODE = REPOSITORY / "tests" / "sdks" / "node"
_BUILD_SECONDS = 500
#: What pip and npm say where the registry cannot be reached. Everything else, a wrong hash above all, is a failure.
_UNREACHABLE = (
    "after connection broken by",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "ENETUNREACH",
)


def python(name: str) -> Path:
    """The interpreter of the environment that ``requirements/sdks/NAME.lock`` describes."""
    lock = _LOCKS / f"{name}.lock"
    folder = _ROOT / name
    interpreter = folder / "bin" / "python"
    stamp = _stamp(sys.version, lock.read_text())
    if not _is_current(folder, stamp):
        _build(name, [sys.executable, "-m", "venv", "--without-pip", str(folder)])
        # Without compiling: one of the packages has 126 MB of modules, of which the tests import a few.
        install = ["install", "--quiet", "--no-compile", "--retries=1", "--timeout=20", "--require-hashes"]
        _build(name, [sys.executable, "-m", "pip", f"--python={interpreter}", *install, f"--requirement={lock}"])
        (folder / "stamp").write_text(stamp)
    return interpreter


def node_modules() -> Path:
    """The folder of the packages that ``tests/sdks/node/package-lock.json`` describes."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = _ROOT / "node"
    stamp = _stamp((NODE / "package-lock.json").read_text())
    if not _is_current(folder, stamp):
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, folder)
        quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
        _build("node", [npm, "ci", f"--prefix={folder}", *quietly])
        (folder / "stamp").write_text(stamp)
    return folder / "node_modules"


def _stamp(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_current(folder: Path, stamp: str) -> bool:
    """Whether the environment was built to its end from the same files; what is left of another one is removed."""
    mark = folder / "stamp"
    if mark.is_file() and mark.read_text() == stamp:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _build(name: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    said = done.stdout + done.stderr
    if done.returncode and any(words in said for words in _UNREACHABLE):
        pytest.skip(f"the packages of {name} cannot be fetched: the registry is not reached")
    assert done.returncode == 0, said
