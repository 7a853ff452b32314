"""``models.config``: which models there are, where, which versions are loaded, and where the labels point.

TensorFlow Serving's own text format (tensorflow_serving/config/model_server_config.proto), so that the model server,
real or embedded, and the gateway read one and the same file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.tfs_api import messages


class ConfigError(ValueError):
    """The file is no valid models.config; the message says where."""


class ConfigSyntaxError(ConfigError):
    """It cannot even be parsed."""


class EmptyConfigError(ConfigError):
    """Nothing stands in it: perhaps somebody is about to write it anew."""


@dataclass(frozen=True)
class ModelConfig:
    """One ``config`` entry. ``latest`` is the number of newest versions to load, None for all of them; ``specific``,
    where not empty, lists the versions instead."""

    name: str
    base_path: str
    latest: int | None = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = "tensorflow"
    logs_requests: bool = False  # the entry has a logging_config, which no server here can follow


def aspired_versions(model: ModelConfig, found: Iterable[int]) -> list[int]:
    """Of the versions found, those that the model's policy asks for, ascending."""
    versions = sorted(found)
    if model.specific:
        return [version for version in versions if version in model.specific]
    return versions if model.latest is None else versions[-model.latest :]


def parse(text: str, origin: str = "models.config") -> dict[str, ModelConfig]:
    """Models by name, in the file's order.

    Raises:
        ConfigSyntaxError: not the text form of a ModelServerConfig.
        EmptyConfigError: the text is blank.
        ConfigError: no ``model_config_list``, or see :func:`from_message`.
    """
    if not text.strip():
        raise EmptyConfigError(f"{origin} is empty; where no model is to be served, write model_config_list {{}}")
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
    """Models by name of a ModelServerConfig, in its order.

    Raises:
        ConfigError: a name that is listed twice.
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
    """Models by name; none where there is no file.

    Raises:
        ConfigError: see :func:`parse`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    return parse_bytes(content, str(path))


def parse_bytes(content: bytes, origin: str) -> dict[str, ModelConfig]:
    """Models by name of a file's content.

    Raises:
        ConfigError: it is no UTF-8, or see :func:`parse`.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{origin} cannot be read: {error}") from None
    return parse(text, origin)


def render(models: Mapping[str, ModelConfig]) -> str:
    """The file's text, models by name, labels by key: one state has one text.

    Raises:
        ConfigError: a model has a logging_config, which would be lost.
    """
    message = messages.ModelServerConfig()
    message.model_config_list.SetInParent()
    for _, model in sorted(models.items()):
        if model.logs_requests:
            raise ConfigError(f"model {model.name} has a logging_config, which cannot be kept: remove it by hand first")
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
