"""Each program imports only packages that its installation includes."""

import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.programs import REPOSITORY

#: FastAPI and grpcio import these if they are installed.
_OPTIONAL = {"python_multipart", "grpc_health", "grpc_reflection", "grpc_status"}
_IMPORTED = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in sys.modules.keys() - before}}))
"""


def installed_with(*extras: str) -> set[str]:
    """Return the names of all distributions that ``pip install vitrine-serving[extras]`` installs."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    waiting += [Requirement(line) for extra in extras for line in project["optional-dependencies"][extra]]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            chosen = requirement.extras or {""}
            for line in metadata.requires(name) or ():
                needed = Requirement(line)
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in chosen):
                    waiting.append(needed)
    return found


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("serving.gateway.http.server", []),
        ("serving.gateway.workers.supervisor", []),
        ("serving.client", []),
        ("serving.scoring", []),
        ("serving.artifacts.sync", ["object-store"]),
        ("serving.model_server.startup", ["model-server"]),
        ("serving.model_server.ports", ["model-server"]),
        ("serving.model_server.engines.onnx", ["model-server"]),
    ],
)
def test_a_program_imports_only_installed_packages(module: str, extras: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _IMPORTED.format(module=module)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    distributions = metadata.packages_distributions()
    installed = installed_with(*extras)
    assert "tensorflow" not in installed
    for package in set(ended.stdout.split()) - _OPTIONAL:
        names = {canonicalize_name(name) for name in distributions.get(package, ())}
        assert not names or package == "serving" or names & installed, f"{module} imports {package} of {names}"
