"""Sign and verify versions with Ed25519.

The signature covers a line ``MODEL/NUMBER`` and ``MANIFEST.sha256``, which holds the SHA-256 of all other files. It
shows that the holder of the private key published these files as this version of this model: nobody else can present
another model or an older version under its name. The keys are PEM files, and OpenSSL can verify a signature too:

    openssl genpkey -algorithm ed25519 -out signing.pem
    openssl pkey -in signing.pem -pubout -out verify.pem
    (echo fashion_cnn/3; cat MANIFEST.sha256) > signed
    openssl pkeyutl -verify -rawin -pubin -inkey verify.pem -in signed -sigfile MANIFEST.sha256.sig

The OpenSSF model signature is no alternative yet: its package, model-signing 1.1.1, adds sixteen dependencies
(Sigstore, TUF, time stamps) to every image that verifies, although the key is a local file. It also needs pyOpenSSL
without declaring it, so that it cannot be imported after installation.
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from serving.artifacts import atomic_write, manifest, version_files
from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE


class KeyFileError(ValueError):
    """The file does not hold the expected key. The message says which one is expected."""


class Signer:
    """Signs with the private key of a PEM file."""

    def __init__(self, path: Path) -> None:
        """Load the key.

        Raises:
            KeyFileError: The file holds no Ed25519 private key, or the key has a passphrase.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"{path} is not a private key in PEM form without a passphrase: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is not an Ed25519 key; create one with openssl genpkey -algorithm ed25519")
        self._key = key

    def sign(self, model: str, version: int, listed: bytes) -> bytes:
        """Sign the version that has this manifest. Returns 64 bytes."""
        return self._key.sign(_signed(model, version, listed))


class Verifier:
    """Checks against the public key of a PEM file."""

    def __init__(self, path: Path) -> None:
        """Load the key.

        Raises:
            KeyFileError: The file holds no Ed25519 public key.
        """
        try:
            key = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path} is not a public key in PEM form: {error}") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(f"{path} is not an Ed25519 key; openssl pkey -pubout extracts it from a private key")
        self._key = key

    def check(self, directory: Path, model: str | None = None, version: int | None = None) -> str | None:
        """Say why the version's signature is invalid, or return None if it is valid.

        A file that the manifest does not list makes the signature invalid: a model server might load it. Only temporary
        files of a killed ``vitrine sign`` are ignored.

        Args:
            directory: The version directory.
            model: Expected model. By default the name of the directory's parent.
            version: Expected version. By default the name of the directory.
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
        # The next signature removes the leftovers, and no model server loads them.
        drafts = {path.relative_to(directory).as_posix() for path in atomic_write.leftovers(directory / SIGNATURE_FILE)}
        unlisted = {MANIFEST_FILE, SIGNATURE_FILE, *drafts}
        more = set(manifest.files(directory)) - manifest.parse(listed).keys() - unlisted
        return f"{min(more)} is not in the signed manifest" if more else None


def _signed(model: str, version: int, listed: bytes) -> bytes:
    return f"{model}/{version}\n".encode() + listed
