"""keys.json: hashes, scopes and expiry; keys from the command line."""

import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.gateway.http.keys_file import KeysError, create, find, parse, read, revoke
from tests.programs import REPOSITORY

ENTRY = f'{{"id": "00000000", "sha256": "{"0" * 64}", "created": "2026-01-01T00:00Z", "name": "a"}}'
NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret" / "keys.json"


def test_key_is_found_by_its_secret(path: Path) -> None:
    key, secret_key = create(path, "shop", models=frozenset({"a"}), verbs=frozenset({"predict"}), rate="10/second")
    _, other = create(path, "till")
    known = read(path)
    assert find(known, secret_key, NOW) == key
    mixed = secret_key[:12] + other[12:]
    for wrong in ("", "vt_", secret_key[:-1], secret_key + "x", mixed, f"vt_{key.id}_", "é" * 60, "\udc80"):
        assert find(known, wrong, NOW) is None
    assert secret_key[12:] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (key.allows("a", "predict"), key.allows("a", "embed"), key.allows("b", "predict")) == (True, False, False)
    revoke(path, key.id)
    assert find(read(path), secret_key, NOW) is None
    assert find(read(path), other, NOW) is not None


def test_the_verb_admin_must_be_named(path: Path) -> None:
    everything, _ = create(path, "till")
    operator, _ = create(path, "operator", verbs=frozenset({"admin"}))
    assert everything.allows("a", "predict") and not everything.allows("a", "admin")
    assert operator.allows("a", "admin") and not operator.allows("a", "predict")


def test_key_expires(path: Path) -> None:
    _, secret_key = create(path, "guest", expires=NOW + timedelta(hours=1))
    assert find(read(path), secret_key, NOW) is not None
    assert find(read(path), secret_key, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the whole"),
        ("{}", "the whole"),
        ('[{"id": "00000000"}]', "0.sha256: Field required"),
        (
            f"[{ENTRY}]".replace('"a"', '"a", "rate": "often"'),
            "'often' is not a rate; write it like 10/second",
        ),
        (
            f"[{ENTRY}, {ENTRY}]",
            "an id occurs twice",
        ),
    ],
)
def test_invalid_files(text: str, words: str) -> None:
    with pytest.raises(KeysError, match=words):
        parse(text)


def test_command_line(path: Path) -> None:
    def vitrine(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "serving.cli.main",
            "keys",
            *arguments,
            "--keys",
            str(path),
        ]
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)

    assert "has no keys" in vitrine("list").stdout
    options = ("--model", "a", "--verb", "predict", "--rate", "5/minute", "--days", "1")
    secret_key = vitrine("create", "shop", *options).stdout
    key = find(read(path), secret_key.strip(), NOW)
    assert key is not None and (key.models, key.verbs, key.rate) == ({"a"}, {"predict"}, "5/minute")
    listed = vitrine("list").stdout
    assert key.id in listed and "5/minute" in listed and secret_key.strip()[12:] not in listed
    vitrine("create", "till [/b]")  # no markup
    assert "till [/b]" in vitrine("list").stdout
    assert "is revoked" in vitrine("revoke", key.id).stdout
    for wrong, words in (
        (("revoke", key.id), "has no key"),
        (("create", "shop", "--rate", "often"), "'often' is not a rate"),
        (("create", "shop", "--rate", "0/second"), "'0/second' is not a rate"),
        (("create", "shop", "--rate", "10/second;50/minute"), "'10/second;50/minute' is not a rate"),
        (("create", "shop", "--verb", "predcit"), "'predcit'; one of"),
        (("create", "shop", "--days", "1e9"), "--days"),
    ):
        result = vitrine(*wrong)
        assert result.returncode in (1, 2) and words in result.stderr and "Traceback" not in result.stderr
