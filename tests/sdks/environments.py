"""Build the SDKs' environments in ``.vitrine/sdks/NAME``: on first use, and again if the lock file changes.

Each has exactly the packages of its lock file, checked by hash. They pin other versions than the project's environment.
"""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.programs import REPOSITORY

_ROOT = REPOSITORY / ".vitrine" / "sdks"
_LOCKS = REPOSITORY / "requirements" / "sdks"
NODE = REPOSITORY / "tests" / "sdks" / "node"
_BUILD_SECONDS = 500
#: Output of pip and npm if the registry cannot be reached. Other errors, such as a wrong hash, fail the test.
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
    """Return the interpreter of an environment with the packages of ``requirements/sdks/NAME.lock``."""
    lock = _LOCKS / f"{name}.lock"
    folder = _ROOT / name
    interpreter = folder / "bin" / "python"
    stamp = _stamp(sys.version, lock.read_text())
    with _locked(name):
        if not _is_current(folder, stamp):
            build(name, [sys.executable, "-m", "venv", "--without-pip", str(folder)])
            # Without compiling: one package has 126 MB of modules, and the tests import few of them.
            install = ["install", "--quiet", "--no-compile", "--retries=1", "--timeout=20", "--require-hashes"]
            build(name, [sys.executable, "-m", "pip", f"--python={interpreter}", *install, f"--requirement={lock}"])
            (folder / "stamp").write_text(stamp)
    return interpreter


def node_modules() -> Path:
    """Return a folder with the packages of ``tests/sdks/node/package-lock.json``."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = _ROOT / "node"
    stamp = _stamp((NODE / "package-lock.json").read_text())
    with _locked("node"):
        if not _is_current(folder, stamp):
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE / name, folder)
            quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
            build("node", [npm, "ci", f"--prefix={folder}", *quietly])
            (folder / "stamp").write_text(stamp)
    return folder / "node_modules"


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Let one process at a time build an environment: tests run in several."""
    _ROOT.mkdir(parents=True, exist_ok=True)
    with (_ROOT / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_current(folder: Path, stamp: str) -> bool:
    """Whether the environment is complete and built from the same files. Removes any other."""
    current = folder / "stamp"
    if current.is_file() and current.read_text() == stamp:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def build(name: str, command: Sequence[str]) -> None:
    """Run a step of an installation. Skip the test if the registry cannot be reached."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    output = done.stdout + done.stderr
    if done.returncode and any(words in output for words in _UNREACHABLE):
        pytest.skip(f"the packages of {name} cannot be fetched: the registry cannot be reached")
    assert done.returncode == 0, output
