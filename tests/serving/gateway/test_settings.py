"""Settings: model server addresses, and a program that rejects unknown settings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from serving.gateway.settings import Settings, addresses
from tests.programs import REPOSITORY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8500", [("127.0.0.1", 8500)]),
        ("10.0.0.1:8500, 10.0.0.2:8501", [("10.0.0.1", 8500), ("10.0.0.2", 8501)]),
        ("[::1]:8500,models:8501", [("::1", 8500), ("models", 8501)]),
        ("models.vitrine.svc.cluster.local:8500", [("models.vitrine.svc.cluster.local", 8500)]),
        ("unix:/run/models.sock", [("/run/models.sock", 0)]),
        ("dns:///models:8500", [("models", 8500)]),
    ],
)
def test_addresses(text: str, expected: list[tuple[str, int]]) -> None:
    assert list(addresses(text)) == expected


@pytest.mark.parametrize(
    "address",
    ["", "models", "models:", ":8500", "models:http", "models:0", "a:1,b", "a:1,,b:2", "dns://8.8.8.8/a:1", "unix:"],
)
def test_bad_addresses(address: str) -> None:
    with pytest.raises(ValidationError, match="model server address"):
        Settings(model_server=address)


def test_names() -> None:
    assert Settings(models=" a, b ,").model_names == ("a", "b")
    assert Settings().model_names == ()


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_KEYS", "")
    assert Settings().keys is None


def test_files_of_exports(tmp_path: Path) -> None:
    settings = Settings(exports=tmp_path)
    assert (settings.models_config, settings.routing) == (tmp_path / "models.config", tmp_path / "routing.json")
    other = tmp_path / "other.config"
    assert Settings(exports=tmp_path, models_config=other).models_config == other


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"exports": ".", "model_server": "127.0.0.1:8500"}, "exports and model_server exclude each other"),
        ({"exports": ".", "workers": 2, "model_server_grpc_port": 8500}, "only one worker can open"),
        ({"exports": "/nowhere"}, "is not a folder"),
        ({"exports": ".", "verify_key_file": "pyproject.toml"}, "pyproject.toml"),
        ({"model_server_rest_port": 8501}, "model_server_rest_port needs exports"),
    ],
)
def test_settings_of_exports_that_exclude_each_other(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings(**given)


@pytest.mark.parametrize("given", [{"host": "0.0.0.0", "insecure": True}, {"keys": "pyproject.toml"}])
def test_admin_without_keys_is_for_loopback_alone(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="admin is for a gateway without keys on a loopback address"):
        Settings(admin=True, **given)


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.gateway", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, env={"COLUMNS": "120", **env}
    )


def test_help_names_every_setting() -> None:
    printed = run("--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in printed


@pytest.mark.parametrize(
    ("arguments", "env", "word"),
    [
        (["--prot=1"], {}, "--prot=1"),
        (["--port=x"], {}, "port is 'x': it should be a valid integer"),
        (["--model-server=nowhere"], {}, "not host:port"),
        ([], {"VITRINE_PORT": "70000"}, "port is '70000': it should be less"),
        (["--host=0.0.0.0"], {}, "settings: other machines can reach 0.0.0.0"),
    ],
)
def test_wrong_settings_end_the_program(arguments: list[str], env: dict[str, str], word: str) -> None:
    ended = run(*arguments, **env)
    assert ended.returncode == 2
    assert word in ended.stderr
    assert "Traceback" not in ended.stderr
