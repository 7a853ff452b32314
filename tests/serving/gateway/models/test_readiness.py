"""Reasons against readiness, by the state of the models."""

import pytest

from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.readiness import reasons_against
from serving.gateway.models.routing import ModelState, VersionStatus


@pytest.mark.parametrize(
    ("models", "names_problem", "draining", "words"),
    [
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, None, False, []),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, "the edit is refused", False, []),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, None, True, ["shutting down"]),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})}, problem="it is down")}, None, False, ["m: it is down"]),
        ({"m": ModelState("m")}, None, False, ["no AVAILABLE version"]),
        ({"m": ModelState("m", {}, {3: VersionStatus("LOADING")})}, None, False, ["version 3 is LOADING"]),
        ({"a": ModelState("a"), "m": ModelState("m", {1: ModelVersion("m", 1, {})})}, None, False, []),
        ({"a": ModelState("a"), "b": ModelState("b")}, None, False, ["a has no", "b has no"]),
        ({}, None, False, ["no models"]),
        ({}, "there is no file", False, ["there is no file"]),
    ],
)
def test_reasons(models: dict[str, ModelState], names_problem: str | None, draining: bool, words: list[str]) -> None:
    reasons = reasons_against(models, names_problem, draining)
    assert len(reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


def test_only_a_gateway_that_has_just_started_waits_for_models_that_load() -> None:
    loading = ModelState("a", {}, {1: VersionStatus("LOADING")})
    models = {"a": loading, "m": ModelState("m", {1: ModelVersion("m", 1, {})})}
    assert reasons_against(models, None, False) == []
    assert reasons_against(models, None, False, first_load=True) == [
        "model a has no AVAILABLE version: version 1 is LOADING"
    ]
    models["a"] = ModelState("a", {}, {1: VersionStatus("END")})
    assert reasons_against(models, None, False, first_load=True) == []
