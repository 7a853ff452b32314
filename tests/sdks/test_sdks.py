"""SDKs of other projects, used as in their documentation.

The checks of an SDK are a program in ``programs/``, which runs in the SDK's environment and stops at the first failed
check. ``make test-sdks`` runs all checks; ``make test`` omits those that repeat others with more data.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from tests.programs import REPOSITORY
from tests.sdks import environments
from tests.sdks.conftest import Served
from tests.serving.gateway import programs, served_models

pytestmark = pytest.mark.timeout(600)  # an environment may be built first

PROGRAMS = REPOSITORY / "tests" / "sdks" / "programs"


def run(command: Sequence[str | Path], served: Served, env: Mapping[str, str] | None = None) -> None:
    """Run a program of checks with the addresses in its environment."""
    addresses = {
        "GATEWAY": served.gateway,
        "GATEWAY_GRPC": served.gateway_grpc,
        "MODEL_SERVER_GRPC": served.grpc,
        "MODEL_SERVER_REST": served.rest,
        "PICTURE": str(REPOSITORY / "examples" / "ankle_boot.png"),
        "ALL_CHECKS": "1" if os.environ.get("VITRINE_SDKS") == "all" else "",
    }
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=240,
        env={**own, "PYTHONDONTWRITEBYTECODE": "1", **addresses, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok " in done.stdout, "the program ran no check"
    print(done.stdout)


@pytest.mark.parametrize("sdk", ["openai", "kserve", "mlserver", "ovmsclient"])
def test_python(served: Served, sdk: str) -> None:
    run([environments.python(sdk), PROGRAMS / f"with_{sdk}.py"], served)


def test_mlflow(served: Served, tmp_path: Path) -> None:
    """A gateway of its own, because its platform is MLflow."""
    served_models.price(tmp_path, 1)
    served_models.configure(tmp_path, {"price": {"stable": 1}})
    with programs.embedded_gateway(tmp_path, "--platform=mlflow") as gateway:
        programs.wait_until_ready(gateway, "price")
        env = {"SCORING": gateway.url.removeprefix("http://")}
        run([environments.python("mlflow"), PROGRAMS / "with_mlflow.py"], served, env)


def test_tritonclient(served: Served) -> None:
    run([sys.executable, PROGRAMS / "with_tritonclient.py"], served)


def test_grpc_js(served: Served, tmp_path: Path) -> None:
    modules = environments.node_modules()
    descriptors = tmp_path / "descriptors"
    descriptors.write_bytes(_descriptors(prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR))
    run(["node", PROGRAMS / "with_grpc_js.js", descriptors], served, {"NODE_PATH": str(modules)})


def test_jdk_client(served: Served) -> None:
    """The JDK's client offers an upgrade to HTTP/2 with each request."""
    java = shutil.which("java")
    if (
        java is None
        or "jdk.compiler" not in subprocess.run([java, "--list-modules"], capture_output=True, text=True).stdout
    ):
        pytest.skip("no JDK is installed")
    run([java, PROGRAMS / "WithJdk.java"], served)


def _descriptors(*services: FileDescriptor) -> bytes:
    """Serialize the services' files and their imports, like protoc's ``--descriptor_set_out``."""
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in files:
            for imported in file.dependencies:
                add(imported)
            files[file.name] = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(files[file.name])

    for service in services:
        add(service)
    return descriptor_pb2.FileDescriptorSet(file=files.values()).SerializeToString()
