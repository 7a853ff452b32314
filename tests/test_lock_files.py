"""The lock files: versions that fit into one environment, hashes, and no address of a registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.programs import REPOSITORY

FOLDER = REPOSITORY / "requirements"
PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,-]+\])?==([^ ;\\]+)", re.MULTILINE)
#: Extras of each lock file that is installed beside all.lock, or whose image runs what tests ran.
EXTRAS = {
    "embedded-server": ["model-server"],
    "gateway": ["oip-grpc", "redis", "otel"],
    "ray-worker": ["ray", "object-store"],
    "server": ["model-server", "oip-grpc", "object-store", "redis", "otel"],
    "sync": ["object-store"],
    "trainer": ["training", "object-store", "postgresql"],
    "trainer-gpu": ["training", "object-store", "postgresql"],
    "all": ["dev"],
}


def versions(name: str) -> dict[str, set[str]]:
    """Return the pinned versions by package: several, if they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for package, version in PINNED.findall((FOLDER / f"{name}.lock").read_text(encoding="utf-8")):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", [*EXTRAS, "build"])
def test_a_lock_file_has_the_versions_that_tests_use(name: str) -> None:
    tested = versions("all")
    assert {package: tested[package] for package in versions(name).keys() & tested.keys()} == {
        package: pins for package, pins in versions(name).items() if package in tested
    }


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_file_has_the_dependencies_of_pyproject(name: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [
        *project["dependencies"],
        *(line for one in EXTRAS[name] for line in project["optional-dependencies"][one]),
    ]
    pinned = versions(name)
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == project["name"]:
            waiting += [line for extra in requirement.extras for line in project["optional-dependencies"][extra]]
        else:
            pins = pinned[canonicalize_name(requirement.name)]
            assert all(requirement.specifier.contains(version) for version in pins), requirement


def test_serving_needs_no_packages_for_training_or_tests() -> None:
    assert not versions("embedded-server").keys() & {"tensorflow", "keras", "ray", "moto", "schemathesis", "pytest"}


@pytest.mark.parametrize("lock", sorted(FOLDER.rglob("*.lock")), ids=lambda lock: lock.stem)
def test_a_lock_file_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    options = {line.split()[0] for line in text.splitlines() if line.startswith("-")}
    assert "://" not in text and options == set()
    assert "--hash=sha256:" in text
    assert [line for line in text.splitlines() if "==" in line and not line.endswith("\\")] == []  # no hash
