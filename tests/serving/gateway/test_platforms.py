"""What a platform's variables set, as a table, and the order of flags, variables and defaults."""

from collections.abc import Mapping

import pytest
from pydantic import ValidationError
from pydantic_settings import CliApp

from serving.gateway.platforms import Platform, path_aliases, settings_of
from serving.gateway.settings import Settings

CLOUD_RUN = {"K_SERVICE": "shop", "PORT": "9000"}
VERTEX = {"AIP_HTTP_PORT": "9001", "AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "/predict"}


@pytest.mark.parametrize(
    ("named", "variables", "expected"),
    [
        (None, {}, {}),
        (None, {"PORT": "9000"}, {}),
        (None, CLOUD_RUN, {"platform": "cloudrun", "port": "9000"}),
        (None, {"K_SERVICE": "shop"}, {"platform": "cloudrun", "port": "8080"}),
        (None, CLOUD_RUN | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"port": "9000"}),  # Knative: no authentication
        ("cloudrun", CLOUD_RUN | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"platform": "cloudrun", "port": "9000"}),
        (None, VERTEX, {"platform": "vertex", "port": "9001"}),
        ("sagemaker", {}, {"platform": "sagemaker", "port": "8080"}),
        ("sagemaker", {"SAGEMAKER_BIND_TO_PORT": "9002"}, {"platform": "sagemaker", "port": "9002"}),
        ("sagemaker", CLOUD_RUN, {"platform": "sagemaker", "port": "8080"}),
        ("mlflow", {}, {"platform": "mlflow"}),
    ],
)
def test_settings_of_a_platform(named: Platform | None, variables: Mapping[str, str], expected: object) -> None:
    assert settings_of(named, variables) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (VERTEX, {"/health": "/ping", "/predict": "/invocations"}),
        (VERTEX | {"AIP_PREDICT_ROUTE": "/v1/models/price:predict"}, {"/health": "/ping"}),
        ({}, {}),
    ],
)
def test_paths_of_vertex_ai(variables: Mapping[str, str], expected: object) -> None:
    assert path_aliases("vertex", variables) == expected
    assert path_aliases("sagemaker", variables) == {}


def test_a_flag_comes_before_a_platform_s_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (CLOUD_RUN | {"VITRINE_PORT": "9003"}).items():
        monkeypatch.setenv(name, value)
    assert CliApp.run(Settings, []).port == 9000
    assert CliApp.run(Settings, ["--port=9004"]).port == 9004
    assert CliApp.run(Settings, ["--platform=mlflow"]).port == 9003
    monkeypatch.setenv("VITRINE_PLATFORM", "sagemaker")
    assert CliApp.run(Settings, []).port == 8080


def test_a_platform_takes_the_place_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="API keys are required"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", platform="mlflow").platform == "mlflow"
    monkeypatch.setenv("K_SERVICE", "shop")
    assert Settings(host="0.0.0.0").platform == "cloudrun"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ValidationError, match="API keys are required"):
        Settings(host="0.0.0.0")


def test_an_unknown_platform_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_PLATFORM", "heroku")
    with pytest.raises(ValidationError, match="platform"):
        Settings()
