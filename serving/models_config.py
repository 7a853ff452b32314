"""``models.config``: which models there are, where, which versions are loaded, and where the labels point.

TensorFlow Serving's own text format (tensorflow_serving/config/model_server_config.proto), so that the model server,
real or embedded, and the gateway read one and the same file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format

from serving.protos import model_server_config_pb2


class ConfigError(ValueError):
    """The file is no valid models.config; the message says where."""


@dataclass(frozen=True)
class ModelConfig:
    """One ``config`` entry. ``latest`` is the number of newest versions to load, None for all of them; ``specific``,
    where not empty, lists the versions instead."""

    name: str
    base_path: str
    latest: int | None = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)


def parse(text: str, origin: str = "models.config") -> dict[str, ModelConfig]:
    """Models by name, in the file's order.

    Raises:
        ConfigError: not the text form of a ModelServerConfig with a ``model_config_list``, or a name twice.
    """
    message = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ConfigError(f"{origin} is not a text-format tensorflow.serving.ModelServerConfig: {error}") from None
    if text.strip() and not message.HasField("model_config_list"):
        raise ConfigError(f"{origin} has no model_config_list")
    models: dict[str, ModelConfig] = {}
    for entry in message.model_config_list.config:
        if entry.name in models:
            raise ConfigError(f"{origin} lists model {entry.name} twice")
        policy = entry.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        models[entry.name] = ModelConfig(
            name=entry.name,
            base_path=entry.base_path,
            latest=None if kind == "all" else (policy.latest.num_versions or 1) if kind == "latest" else 1,
            specific=tuple(policy.specific.versions) if kind == "specific" else (),
            labels=dict(entry.version_labels),
        )
    return models


def read(path: Path) -> dict[str, ModelConfig]:
    """Models by name; none where there is no file.

    Raises:
        ConfigError: see :func:`parse`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    return parse(text, str(path))


def render(models: Mapping[str, ModelConfig]) -> str:
    """The file's text, models by name, labels by key: one state has one text."""
    message = model_server_config_pb2.ModelServerConfig()
    message.model_config_list.SetInParent()
    for _, model in sorted(models.items()):
        entry = message.model_config_list.config.add(
            name=model.name, base_path=model.base_path, model_platform="tensorflow"
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
