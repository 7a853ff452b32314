"""System packages that some tests use, by their Debian names in ``.ci/packages``.

Without one, the tests that need it are skipped. With VITRINE_ALL_TESTS=1, which CI sets, they fail.
``python -m tests.system_packages`` prints which are missing.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.programs import REPOSITORY

#: A program of each package that has another name.
_PROGRAMS = {"chromium-driver": "chromedriver", "iproute2": "ip", "postgresql": "initdb", "prometheus": "promtool"}
_FOLDERS = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), "/usr/sbin", "/sbin"]


def path(package: str) -> str | None:
    """Return the path of the package's program; None if it is not installed."""
    program = _PROGRAMS.get(package, package)
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(_FOLDERS))


def require(package: str) -> str:
    """Return the path of the package's program. Skip the test if it is not installed, or fail."""
    found = path(package)
    if found is None:
        reason = f"the system package {package} is not installed"
        pytest.fail(reason) if os.environ.get("VITRINE_ALL_TESTS") else pytest.skip(reason)
    return found


def needs(package: str) -> pytest.MarkDecorator:
    """Mark a test that needs a package: :func:`require`, before its fixtures."""
    absent = path(package) is None and not os.environ.get("VITRINE_ALL_TESTS")
    return pytest.mark.skipif(absent, reason=f"the system package {package} is not installed")


if __name__ == "__main__":
    listed = (REPOSITORY / ".ci" / "packages").read_text(encoding="utf-8").split()
    missing = [package for package in listed if path(package) is None]
    if missing:
        print(f"Tests that need these system packages are skipped: {', '.join(missing)}")
        print(f"Debian and Ubuntu have them: apt-get install {' '.join(missing)}")
