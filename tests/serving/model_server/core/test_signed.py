"""--verify_key_file: only versions that are signed with the key are loaded."""

from pathlib import Path

import pytest

from serving.artifacts.models_config import ModelConfig
from serving.artifacts.registry import ModelRegistry
from serving.artifacts.signing import Signer
from tests.serving.artifacts.test_signing import key_pair
from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.core.test_lifecycle import eventually
from tests.serving.model_server.servers import configure, fails, serving


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Version 1 without a signature."""
    publish(ModelRegistry(tmp_path), 1)
    configure(tmp_path, [ModelConfig("line", "/models/line", latest=2)])
    return tmp_path


def publish(registry: ModelRegistry, offset: float) -> None:
    with registry.staging("line") as directory:
        versions.write(directory / "version", offset=offset)
        for path in (directory / "version").iterdir():
            path.rename(directory / path.name)
        (directory / "version").rmdir()
        registry.publish("line", directory)


def states(client: Client) -> dict[int, tuple[int, str]]:
    status = client.status("line")
    return {one.version: (one.status.error_code, one.status.error_message) for one in status}


def test_only_signed_versions_are_loaded(root: Path) -> None:
    private, public = key_pair(root)
    flags = (f"--model_config_file={root / 'models.config'}", f"--mount=/models={root}", f"--verify_key_file={public}")
    assert "PERMISSION_DENIED" in (output := fails(*flags)) and "it is not signed" in output
    publish(ModelRegistry(root, Signer(private)), 2)
    with serving(*flags) as server:
        eventually(lambda: 7 in dict(states(server.client).values()))  # PERMISSION_DENIED
        found = states(server.client)
        assert "is not to be served: it is not signed" in found[1][1]
        assert found[2] == (0, "")


def test_invalid_key_file_is_reported_at_the_start(root: Path) -> None:
    output = fails(f"--model_config_file={root / 'models.config'}", f"--verify_key_file={root / 'models.config'}")
    assert "INVALID_ARGUMENT" in output and "not a public key in PEM form" in output
