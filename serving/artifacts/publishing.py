"""Publish a version: manifest and signature, the version's place in the back end, and its entry in models.config."""

from pathlib import Path
from typing import TYPE_CHECKING

from serving.artifacts import manifest
from serving.artifacts.backends.base import RegistryBackend
from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE
from serving.artifacts.models_config import ConfigError
from serving.artifacts.version_labels import ConfigFile

if TYPE_CHECKING:
    from serving.artifacts.signing import Signer


def publish(backend: RegistryBackend, config: ConfigFile, model: str, staged: Path, signer: "Signer | None") -> int:
    """Make a staged directory the model's next version and return its number.

    Raises:
        ManifestError: A symbolic link leads out of the directory.
        ConfigError: models.config is invalid.
        OSError: The disk is full, or the disk or object store fails. Nothing visible remains after any error.
    """
    entry = config.read().get(model)
    manifest.write(staged)
    if entry is not None and entry.labels and not entry.specific:
        config.edit_labels(model, lambda labels: labels)  # lists the labelled versions, before a newer one appears

    def seal(number: int) -> None:
        if signer:
            listed = (staged / MANIFEST_FILE).read_bytes()
            (staged / SIGNATURE_FILE).write_bytes(signer.sign(model, number, listed))

    number = backend.add(model, staged, seal)
    if entry is not None:
        try:
            config.edit_labels(model, lambda labels: labels)
        except (OSError, ConfigError):
            backend.withdraw(model, number, staged)  # models.config cannot list it
            raise
    return number
