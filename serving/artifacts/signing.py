"""Signed versions: an Ed25519 signature over a line ``MODEL/NUMBER`` and ``MANIFEST.sha256``, which has the SHA-256 of
every other file.

It says that the holder of the private key has published these files as that version of that model: nobody without the
key can pass off one model as another, or an older version as a newer one. The keys are PEM files, and OpenSSL checks a
signature as well as we do:

    openssl genpkey -algorithm ed25519 -out signing.pem
    openssl pkey -in signing.pem -pubout -out verify.pem
    (echo fashion_cnn/3; cat MANIFEST.sha256) > signed
    openssl pkeyutl -verify -rawin -pubin -inkey verify.pem -in signed -sigfile MANIFEST.sha256.sig

Why not the OpenSSF model signature itself: its package, model-signing 1.1.1, brings sixteen more into every image that
checks one (Sigstore, TUF, time stamps) for a key that lies on the disk, and cannot be imported as it installs (it needs
pyOpenSSL and does not say so).
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from serving.artifacts import manifest, version_files
from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE


class KeyFileError(ValueError):
    """The file holds no such key; the message says which is expected."""


class Signer:
    """Signs with the private key of a PEM file."""

    def __init__(self, path: Path) -> None:
        """Raises KeyFileError where there is no Ed25519 private key, or it has a passphrase."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"{path} is no private key in PEM form without a passphrase: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is no Ed25519 key; openssl genpkey -algorithm ed25519 makes one")
        self._key = key

    def sign(self, model: str, version: int, listed: bytes) -> bytes:
        """The signature, 64 bytes, of a version with this manifest."""
        return self._key.sign(_signed(model, version, listed))


class Verifier:
    """Checks against the public key of a PEM file."""

    def __init__(self, path: Path) -> None:
        """Raises KeyFileError where there is no Ed25519 public key."""
        try:
            key = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path} is no public key in PEM form: {error}") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(f"{path} is no Ed25519 key; openssl pkey -pubout writes that of a private one")
        self._key = key

    def check(self, directory: Path, model: str | None = None, version: int | None = None) -> str | None:
        """Why the version's files are not what the key's holder has signed, or None where they are. Where it is not
        said what they are to be, the directory says it: ``MODEL/NUMBER``.

        A file that the manifest does not list speaks against it: a model server might take it for the model.
        """
        problem = version_files.problem(directory, closed=True)
        if problem:
            return problem
        try:
            listed = (directory / MANIFEST_FILE).read_bytes()
            signature = (directory / SIGNATURE_FILE).read_bytes()
        except FileNotFoundError:
            return "it is not signed"
        model = directory.parent.name if model is None else model
        version = int(directory.name) if version is None else version
        try:
            self._key.verify(signature, _signed(model, version, listed))
        except InvalidSignature:
            return f"its signature is not that of the key for version {version} of {model}"
        problem = manifest.check(directory)
        if problem:
            return problem
        more = set(manifest.files(directory)) - manifest.parse(listed).keys() - {MANIFEST_FILE, SIGNATURE_FILE}
        return f"{min(more)} is not in the signed manifest" if more else None


def _signed(model: str, version: int, listed: bytes) -> bytes:
    return f"{model}/{version}\n".encode() + listed
