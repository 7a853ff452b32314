"""Read and write ``models.config``: the models, their folders, the versions to load and the labels.

It has TensorFlow Serving's text format (tensorflow_serving/config/model_server_config.proto), so that the model server,
real or embedded, and the gateway read the same file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.tfs_api import messages

CONFIG_FILE = "models.config"
#: Path of the exports in models.config: the container's mount. The embedded server's --mount maps it.
MOUNT_POINT = "/models"


class ConfigError(ValueError):
    """The file is not a valid models.config. The message says where."""


class ConfigSyntaxError(ConfigError):
    """The file cannot be parsed."""


class EmptyConfigError(ConfigError):
    """The file is empty; perhaps somebody is writing it."""


@dataclass(frozen=True)
class ModelConfig:
    """One ``config`` entry.

    ``latest`` is the number of newest versions to load, or None for all. ``specific`` lists the versions instead, if it
    is not empty.
    """

    name: str
    base_path: str
    latest: int | None = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = "tensorflow"
    logs_requests: bool = False  # the entry has a logging_config, which the embedded server does not support


def aspired_versions(model: ModelConfig, found: Iterable[int]) -> list[int]:
    """Select the versions that the model's version policy loads, ascending."""
    versions = sorted(found)
    if model.specific:
        return [version for version in versions if version in model.specific]
    return versions if model.latest is None else versions[-model.latest :]


def parse(text: str, origin: str = "models.config") -> dict[str, ModelConfig]:
    """Parse the file's text. Returns the models by name, in the file's order.

    Raises:
        ConfigSyntaxError: The text is not a ModelServerConfig in text format.
        EmptyConfigError: The text is blank.
        ConfigError: ``model_config_list`` is missing, or see :func:`from_message`.
    """
    if not text.strip():
        raise EmptyConfigError(f"{origin} is empty; write model_config_list {{}} to serve no model")
    message = messages.ModelServerConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ConfigSyntaxError(
            f"Error parsing text-format tensorflow.serving.ModelServerConfig: {origin}: {error}"
        ) from None
    if not message.HasField("model_config_list"):
        raise ConfigError(f"{origin} has no model_config_list")
    return from_message(message)


def from_message(message: Any) -> dict[str, ModelConfig]:
    """Convert a ModelServerConfig message. Returns the models by name, in its order.

    Raises:
        ConfigError: The message lists a name twice.
    """
    models: dict[str, ModelConfig] = {}
    for entry in message.model_config_list.config:
        if entry.name in models:
            raise ConfigError(f"Illegal to list model {entry.name} multiple times in config list")
        policy = entry.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        old_style = entry.model_type == messages.TENSORFLOW
        models[entry.name] = ModelConfig(
            name=entry.name,
            base_path=entry.base_path,
            latest=None if kind == "all" else (policy.latest.num_versions or 1) if kind == "latest" else 1,
            specific=tuple(policy.specific.versions) if kind == "specific" else (),
            labels=dict(entry.version_labels),
            platform="tensorflow" if old_style else entry.model_platform,
            logs_requests=entry.HasField("logging_config"),
        )
    return models


def read(path: Path) -> dict[str, ModelConfig]:
    """Read the file. Returns the models by name; none if the file does not exist.

    Raises:
        ConfigError: See :func:`parse`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    return parse_bytes(content, str(path))


def parse_bytes(content: bytes, origin: str) -> dict[str, ModelConfig]:
    """Parse the file's bytes. Returns the models by name.

    Raises:
        ConfigError: The bytes are not UTF-8, or see :func:`parse`.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{origin} cannot be read: {error}") from None
    return parse(text, origin)


def render(models: Mapping[str, ModelConfig]) -> str:
    """Write the models as text, sorted by name and label: equal configurations have equal texts.

    Raises:
        ConfigError: A model has a logging_config, which would be lost.
    """
    message = messages.ModelServerConfig()
    message.model_config_list.SetInParent()
    for _, model in sorted(models.items()):
        if model.logs_requests:
            raise ConfigError(f"model {model.name} has a logging_config, which cannot be kept; remove it first")
        entry = message.model_config_list.config.add(
            name=model.name, base_path=model.base_path, model_platform=model.platform
        )
        if model.specific:
            entry.model_version_policy.specific.versions.extend(sorted(model.specific))
        elif model.latest is None:
            entry.model_version_policy.all.SetInParent()
        else:
            entry.model_version_policy.latest.num_versions = model.latest
        for label, version in model.labels.items():
            entry.version_labels[label] = version
    return str(text_format.MessageToString(message))
