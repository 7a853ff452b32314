"""Signatures over a version's manifest, with an OpenSSL key pair."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE
from serving.artifacts.registry import ModelRegistry
from serving.artifacts.signing import KeyFileError, Signer, Verifier
from tests import s3
from tests.programs import REPOSITORY
from tests.serving.artifacts.test_atomic_write import leave_temporary_file


def key_pair(folder: Path, name: str = "key", kind: type[Ed25519PrivateKey] = Ed25519PrivateKey) -> tuple[Path, Path]:
    """Write a new key pair. Returns the files of the private and the public key."""
    key = kind.generate() if kind is Ed25519PrivateKey else ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Verifier]:
    """A signed version and its verifier."""
    private, public = key_pair(tmp_path)
    registry = ModelRegistry(tmp_path / "exports", Signer(private))
    with registry.staging("m") as directory:
        s3.stage(directory)
        registry.publish("m", directory)
    return registry.directory("m", 1), Verifier(public)


def test_a_signed_version_is_valid(signed: tuple[Path, Verifier]) -> None:
    directory, verifier = signed
    assert verifier.check(directory) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: (d / "saved_model.pb").write_text("other"), "saved_model.pb is not the file that was published"),
        (lambda d: (d / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (lambda d: (d / "assets.extra" / "model.onnx").write_text("mine"), "assets.extra/model.onnx is not in the"),
        (lambda d: (d / SIGNATURE_FILE).unlink(), "it is not signed"),
        (lambda d: (d / MANIFEST_FILE).unlink(), "it is not signed"),
        (lambda d: (d / MANIFEST_FILE).write_text(""), "its signature is not that of the key for version 1 of m"),
        (lambda d: (d / SIGNATURE_FILE).write_bytes(b"short"), "its signature is not that of the key"),
        (lambda d: (d / "assets").symlink_to("/usr"), "assets is a symbolic link that leads out of the version"),
    ],
)
def test_a_changed_version_is_invalid(signed: tuple[Path, Verifier], change: object, problem: str) -> None:
    directory, verifier = signed
    change(directory)  # type: ignore[operator]
    assert problem in (verifier.check(directory) or "")


def test_a_killed_signer_leaves_the_version_valid(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    registry = ModelRegistry(tmp_path / "exports", Signer(private))
    with registry.staging("m") as directory:
        s3.stage(directory)
        registry.publish("m", directory)
    directory, verifier = registry.directory("m", 1), Verifier(public)
    draft = leave_temporary_file(directory / SIGNATURE_FILE)
    assert verifier.check(directory) is None
    registry.sign("m", 1, Signer(private))
    assert verifier.check(directory) is None and not draft.exists()


def test_a_signature_covers_model_and_version(signed: tuple[Path, Verifier]) -> None:
    directory, verifier = signed
    for other, what in ((directory.with_name("2"), "2 of m"), (directory.parents[1] / "n" / "1", "1 of n")):
        shutil.copytree(directory, other)
        assert verifier.check(other) == f"its signature is not that of the key for version {what}"
    assert verifier.check(other, "m", 1) is None
    padded = directory.with_name("0001")
    directory.rename(padded)
    assert verifier.check(padded) is None


def test_the_signed_number_is_the_published_one(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    registry = ModelRegistry(tmp_path / "exports", Signer(private))
    with registry.staging("m") as directory:
        s3.stage(directory)
        (directory.parent / "1").write_text("taken")  # as by a publisher that was faster
        assert registry.publish("m", directory) == 2
    assert Verifier(public).check(registry.directory("m", 2)) is None


def test_a_signature_of_another_key_is_invalid(signed: tuple[Path, Verifier], tmp_path: Path) -> None:
    _, other = key_pair(tmp_path, "other")
    assert Verifier(other).check(signed[0]) == "its signature is not that of the key for version 1 of m"


def test_files_without_the_expected_key_are_rejected(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "curve", ec.EllipticCurvePrivateKey)  # type: ignore[arg-type]
    for make, path in ((Signer, private), (Verifier, public)):
        with pytest.raises(KeyFileError, match="not an Ed25519 key"):
            make(path)
    for make in (Signer, Verifier):
        with pytest.raises(KeyFileError, match="in PEM form"):
            make(tmp_path / "nothing.pem")


def test_openssl_verifies_the_signature(tmp_path: Path, signed: tuple[Path, Verifier]) -> None:
    directory, _ = signed
    content = tmp_path / "signed"
    content.write_bytes(b"m/1\n" + (directory / MANIFEST_FILE).read_bytes())
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(tmp_path / "key.pub.pem")]
    done = subprocess.run(
        [*command, "-in", str(content), "-sigfile", str(directory / SIGNATURE_FILE)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_vitrine_sign(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    registry = ModelRegistry(tmp_path / "exports")
    with registry.staging("m") as directory:
        s3.stage(directory)
        registry.publish("m", directory)

    def vitrine(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving.cli.main", "sign", *arguments, "--exports", str(registry.root)]
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)

    assert "version 1 is signed" in vitrine("m", "1", "--key", str(private)).stdout
    assert Verifier(public).check(registry.directory("m", 1)) is None
    refused = vitrine("m", "1", "--key", str(public))
    assert refused.returncode == 1 and "not a private key" in refused.stderr and "Traceback" not in refused.stderr
