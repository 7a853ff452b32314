"""Move labels in ``models.config``, in steps that model servers accept."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from serving.artifacts import models_config
from serving.artifacts.backends.base import RegistryBackend
from serving.artifacts.models_config import CONFIG_FILE, MOUNT_POINT, ModelConfig, aspired_versions


def with_labels(model: ModelConfig, versions: list[int], labels: Mapping[str, int]) -> ModelConfig:
    """Return the entry with these labels. It loads the two newest versions and all that have a label.

    With a label the entry lists the versions: ``latest`` would unload a labelled one when newer ones appear.
    """
    newest = sorted(versions)[-2:]
    if not labels:
        return replace(model, latest=2, specific=(), labels={})
    return replace(model, specific=tuple(sorted({*newest, *labels.values()})), labels=dict(labels))


def first_step(before: ModelConfig, after: ModelConfig, versions: list[int]) -> ModelConfig:
    """Return the part of a change that a model server accepts at once.

    If a label moves to a version which ``before`` does not load, this part loads the version and leaves all labels.
    TensorFlow Serving would refuse the whole configuration and never load the version, even with
    --allow_version_labels_for_unavailable_models (server_core.cc, UpdateModelVersionLabelMap).
    """
    new = set(aspired_versions(after, versions)) - set(aspired_versions(before, versions))
    if not any(to in new and label in before.labels for label, to in after.labels.items()):
        return after
    labels = {label: version for label, version in before.labels.items() if version in versions}
    loaded = {*aspired_versions(after, versions), *labels.values()}
    return replace(after, specific=tuple(sorted(loaded)), labels=labels)


class ConfigFile:
    """The ``models.config`` of a registry."""

    def __init__(self, backend: RegistryBackend, origin: str, settle: float) -> None:
        """Use the file of a back end.

        Args:
            backend: The registry's back end.
            origin: Name of the file in error messages.
            settle: Seconds until model servers have read a change of the file.
        """
        self._backend = backend
        self._origin = origin
        self._settle = settle

    def read(self) -> dict[str, ModelConfig]:
        """Read the models by name.

        Raises:
            ConfigError: The file is invalid.
        """
        return self._parse(self._backend.read(CONFIG_FILE))

    def edit_labels(self, model: str, change: Callable[[Mapping[str, int]], Mapping[str, int]]) -> None:
        """Change a model's labels. Drops labels of versions that no longer exist.

        If the change loads a version, this waits until model servers have read it, because a label may move to the
        version only afterwards. A version that takes longer to load does not matter: model servers retry a refused
        configuration each time they read the file.

        Raises:
            ConfigError: The file is invalid.
        """
        loads = pending = False

        def edit(content: bytes | None) -> bytes:
            nonlocal loads, pending
            models = self._parse(content)
            versions = self._backend.versions(model)
            entry = models.get(model) or ModelConfig(model, f"{MOUNT_POINT}/{model}")
            labels = {name: number for name, number in change(entry.labels).items() if number in versions}
            after = first = with_labels(entry, versions, labels)
            if model in models:
                loads = not set(aspired_versions(after, versions)) <= set(aspired_versions(entry, versions))
                first = first_step(entry, after, versions)
            pending = first != after
            models[model] = first
            return models_config.render(models).encode()

        self._backend.change(CONFIG_FILE, edit)
        if loads:
            time.sleep(self._settle)
        if pending:
            self._backend.change(CONFIG_FILE, edit)

    def _parse(self, content: bytes | None) -> dict[str, ModelConfig]:
        return models_config.parse_bytes(content, self._origin) if content is not None else {}
