"""Canary, shadow, promotion and rollback: the files that each step writes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from serving.artifacts import models_config, rollout
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.routing_file import Canary, RoutingEntry, RoutingError, Shadow
from tests.programs import REPOSITORY


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """Versions 1 to 4 of m, of which 2 is stable."""
    registry = ModelRegistry(tmp_path, settle=0)
    for _ in range(4):
        with registry.staging("m") as directory:
            (directory / "saved_model.pb").write_text("weights", encoding="utf-8")
            registry.publish("m", directory)
    registry.promote("m", 2)
    return registry


def loaded(registry: ModelRegistry) -> tuple[int, ...]:
    return models_config.read(registry.root / "models.config")["m"].specific


def test_a_canary_grows_and_becomes_live(registry: ModelRegistry) -> None:
    rollout.canary(registry, "m", 1, 10, "key")
    assert registry.routing() == {"m": RoutingEntry(canary=Canary(version=1, percent=10, sticky="key"))}
    assert loaded(registry) == (1, 2, 3, 4)  # else nobody could answer
    rollout.canary(registry, "m", 3, 50)
    assert registry.routing()["m"].canary == Canary(version=3, percent=50)
    assert rollout.promote(registry, "m", 3) == rollout.Moved(3, before=2, ended=3)
    assert registry.routing() == {}
    assert registry.labels("m") == {"stable": 3, "previous": 2}


def test_rollback_ends_the_canary_first_and_then_the_live_version(registry: ModelRegistry) -> None:
    rollout.promote(registry, "m", 3)
    rollout.canary(registry, "m", 4, 10)
    assert rollout.rollback(registry, "m") == rollout.Moved(3, before=3, ended=4)
    assert (registry.routing(), registry.labels("m")) == ({}, {"stable": 3, "previous": 2})
    assert rollout.rollback(registry, "m") == rollout.Moved(2, before=3)


def test_a_shadow_beside_a_canary(registry: ModelRegistry) -> None:
    rollout.canary(registry, "m", 3, 10)
    rollout.shadow(registry, "m", 4, 2.5)
    rollout.off(registry, "m", rollout.CANARY)
    assert registry.routing() == {"m": RoutingEntry(shadow=Shadow(version=4, percent=2.5))}
    assert registry.labels("m") == {"stable": 2, "shadow": 4}
    rollout.off(registry, "m", rollout.SHADOW)
    with pytest.raises(RegistryError, match="m has no shadow"):
        rollout.off(registry, "m", rollout.SHADOW)


def test_a_promoted_shadow_ends(registry: ModelRegistry) -> None:
    rollout.shadow(registry, "m", 4, 100)
    assert rollout.promote(registry, "m", 4) == rollout.Moved(4, before=2, ended=4)
    assert (registry.routing(), registry.labels("m")) == ({}, {"stable": 4, "previous": 2})


def test_promotion_overrides_a_live_version_set_by_hand(registry: ModelRegistry) -> None:
    (registry.root / "routing.json").write_text('{"m": {"live": 1, "fallback": [2]}}')
    rollout.promote(registry, "m", 3)
    assert registry.routing() == {"m": RoutingEntry(fallback=(2,))}


def test_rejected_steps_change_nothing(registry: ModelRegistry) -> None:
    for version, percent, sticky, error in (
        (9, 10, None, RegistryError),
        (2, 10, None, RegistryError),  # live already
        (3, 101, None, RoutingError),
        (3, 10, "browser", RoutingError),
    ):
        with pytest.raises(error):
            rollout.canary(registry, "m", version, percent, sticky)
    assert (registry.routing(), registry.labels("m")) == ({}, {"stable": 2})
    (registry.root / "routing.json").write_text("{")
    for step in (
        lambda: rollout.rollback(registry, "m"),
        lambda: rollout.promote(registry, "m", 3),
        lambda: rollout.off(registry, "m", "canary"),
        lambda: rollout.canary(registry, "m", 3, 10),
        lambda: rollout.shadow(registry, "m", 3, 10),
    ):
        with pytest.raises(RoutingError, match=r"routing\.json"):
            step()
    assert registry.labels("m") == {"stable": 2}


def test_the_next_command_completes_an_interrupted_one(registry: ModelRegistry) -> None:
    """Each command writes a label, then a percentage; ending one does the reverse."""
    registry.promote("m", 3, "canary")  # a canary without its share
    assert registry.live("m") == 2
    rollout.off(registry, "m", rollout.CANARY)
    assert registry.labels("m") == {"stable": 2}
    with pytest.raises(RegistryError, match="m has no canary"):
        rollout.off(registry, "m", rollout.CANARY)
    registry.promote("m", 3, "canary")
    rollout.canary(registry, "m", 4, 10)
    assert (registry.labels("m"), registry.routing()["m"].canary.version) == ({"stable": 2, "canary": 4}, 4)
    registry.promote("m", 4)  # a promotion that did not come to end the canary
    assert rollout.rollback(registry, "m") == rollout.Moved(2, before=4)
    assert (registry.routing(), registry.labels("m")) == ({}, {"stable": 2, "previous": 4})


def test_commands_reject_a_damaged_version_with_one_sentence(registry: ModelRegistry, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m" / "3" / "assets.extra" / "card.json")
    os.mkfifo(tmp_path / "m" / "4" / "variables")
    (tmp_path / "m" / "2" / "assets").symlink_to("assets")
    key = tmp_path / "key.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    vitrine = commands(registry)
    for arguments, words in (
        (
            ("promote", "m", "4"),
            "m version 4 cannot be promoted: variables is a named pipe; regular files are expected",
        ),
        (("promote", "m", "3", "--label", "mine"), "m version 3 cannot be promoted: assets.extra/card.json is a named"),
        (("canary", "m", "4", "10"), "m version 4 cannot be promoted"),
        (("canary", "m", "4", "10", "--shadow"), "m version 4 cannot be promoted"),
        (("sign", "m", "4", "--key", str(key)), "m version 4 cannot be signed: variables is a named pipe"),
    ):
        refused = vitrine(*arguments)
        assert refused.returncode == 1, refused.stdout
        assert words in " ".join(refused.stderr.split()) and "Traceback" not in refused.stderr
    assert "is a named pipe" in vitrine("models").stdout
    assert vitrine("rollback", "m").returncode == 0, "the live version is the reason to go back"
    assert registry.labels("m") == {"stable": 1, "previous": 2}


def test_two_rollouts_of_a_model_at_once_are_refused(registry: ModelRegistry) -> None:
    other = ModelRegistry(registry.root, settle=0)
    with registry.exclusive("m"):
        for step in (
            lambda: rollout.promote(other, "m", 3),
            lambda: rollout.canary(other, "m", 3, 10),
            lambda: rollout.shadow(other, "m", 3, 10),
            lambda: rollout.off(other, "m", rollout.CANARY),
            lambda: rollout.rollback(other, "m"),
        ):
            with pytest.raises(RegistryError, match="another change of m is in progress"):
                step()
    rollout.promote(other, "m", 3)
    assert registry.labels("m")["stable"] == 3


def commands(registry: ModelRegistry) -> Callable[..., subprocess.CompletedProcess[str]]:
    def vitrine(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "serving.cli.main",
            *arguments,
            "--exports",
            str(registry.root),
        ]
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)

    return vitrine


def test_from_the_terminal(registry: ModelRegistry) -> None:
    vitrine = commands(registry)
    vitrine("canary", "m", "3", "10", "--sticky", "cookie:sid")
    said = vitrine("canary", "m", "4", "100", "--shadow").stdout
    assert "version 2 is live" in said
    assert "version 3 answers 10 %, the same callers by cookie:sid" in said
    assert "version 4 gets a copy of 100 %" in said
    assert "the canary has ended; version 2 answers all" in vitrine("rollback", "m").stdout
    assert "shadow" not in vitrine("canary", "m", "--off", "--shadow").stdout
    for wrong, words in (
        (("canary", "m", "3"), "percentage of the requests is missing"),
        (("canary", "m", "--off"), "m has no canary"),
        (("canary", "n"), "there is no model n; there are: m"),
        (("canary", "m", "3", "5", "--shadow", "--sticky", "key"), "--sticky is for canaries"),
    ):
        refused = vitrine(*wrong)
        assert refused.returncode == 1 and words in refused.stderr and "Traceback" not in refused.stderr
