"""models.config: parsed like TensorFlow Serving does, and written with one text for each state."""

from pathlib import Path

import pytest

from serving.artifacts.models_config import (
    ConfigError,
    ConfigSyntaxError,
    EmptyConfigError,
    ModelConfig,
    parse,
    read,
    render,
)

ENTRY = 'config { name: "m" base_path: "/m" model_platform: "tensorflow" %s }'


def one(policy: str) -> ModelConfig:
    return parse("model_config_list { " + ENTRY % policy + " }")["m"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", ModelConfig("m", "/m")),
        ("model_version_policy { latest { num_versions: 3 } }", ModelConfig("m", "/m", latest=3)),
        ("model_version_policy { latest { } }", ModelConfig("m", "/m", latest=1)),
        ("model_version_policy { all { } }", ModelConfig("m", "/m", latest=None)),
        ("model_version_policy { specific { versions: 3 versions: 4 } }", ModelConfig("m", "/m", specific=(3, 4))),
        ('version_labels { key: "stable" value: 3 }', ModelConfig("m", "/m", labels={"stable": 3})),
    ],
)
def test_entries(policy: str, expected: ModelConfig) -> None:
    assert one(policy) == expected


def test_the_deprecated_model_type() -> None:
    assert parse('model_config_list { config { name: "m" model_type: TENSORFLOW } }')["m"].platform == "tensorflow"
    assert parse('model_config_list { config { name: "m" } }')["m"].platform == ""


def test_no_models(tmp_path: Path) -> None:
    assert parse("model_config_list { }") == {}
    assert read(tmp_path / "none") == {}
    assert parse(render({})) == {}


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("model_config_list { config {", ConfigSyntaxError, "Error parsing text-format tensorflow.serving.ModelServ"),
        ("models: 3", ConfigSyntaxError, "models.config: 1:1 : "),
        ("\x00", ConfigSyntaxError, "Error parsing text-format"),
        ("", EmptyConfigError, "models.config is empty; write model_config_list {} to serve no model"),
        ("\n", EmptyConfigError, "is empty"),
        ("custom_model_config { }", ConfigError, "has no model_config_list"),
        (
            "model_config_list {" + ENTRY % "" + ENTRY % "" + "}",
            ConfigError,
            "Illegal to list model m multiple times in config list",
        ),
    ],
)
def test_invalid_files_are_rejected(text: str, kind: type[ConfigError], message: str) -> None:
    with pytest.raises(kind, match=message):
        parse(text)


def test_a_logging_config_is_not_lost() -> None:
    models = parse("model_config_list {" + ENTRY % "logging_config { }" + "}")
    assert models["m"].logs_requests
    with pytest.raises(ConfigError, match="model m has a logging_config, which cannot be kept"):
        render(models)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


def test_round_trip_in_any_order() -> None:
    models = {
        "b": ModelConfig("b", "/models/b", latest=2, labels={"stable": 1, "previous": 2}),
        "a": ModelConfig("a", "/models/a", latest=None),
        "c": ModelConfig("c", "/models/c", specific=(1, 5)),
    }
    text = render(models)
    assert parse(text) == models
    turned = dict(reversed(models.items()))
    turned["b"] = ModelConfig("b", "/models/b", latest=2, labels={"previous": 2, "stable": 1})
    assert render(turned) == text
