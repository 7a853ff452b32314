"""Tests that need a system package are skipped without it, and fail in CI."""

import subprocess
import sys

import pytest

from tests.programs import REPOSITORY
from tests.system_packages import require


def test_a_missing_package_skips_its_tests_and_fails_them_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("VITRINE_ALL_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="the system package redis-server is not installed"):
        require("redis-server")
    monkeypatch.setenv("VITRINE_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match="the system package redis-server is not installed"):
        require("redis-server")


def test_make_test_names_the_missing_packages() -> None:
    command = [sys.executable, "-m", "tests.system_packages"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env={"PATH": ""}, check=True)
    skipped, hint = done.stdout.splitlines()
    assert "redis-server" in skipped and hint.startswith("Debian and Ubuntu have them: apt-get install ")
