"""``python -m serving.server``: the program of the image ``vitrine-server``, a gateway with its models in one process.

It takes the gateway's flags. ``serve`` before them is SageMaker's way to start a container, and ``keys …`` is the
command ``vitrine keys``. Without ``--exports`` the models are those of the platform, of a volume, or of the image.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from serving.artifacts.models_config import MOUNT_POINT
from serving.artifacts.user_models import shipped_models
from serving.gateway import __main__ as gateway
from serving.gateway.settings import KeysRequired

_KEYS = Path("/keys/keys.json")
_SAGEMAKER = Path("/opt/ml/model")  # where SageMaker unpacks model.tar.gz
_HOW_TO_GET_A_KEY = (
    "in a container: docker run --rm -v vitrine-keys:/keys vitrine-server keys create NAME prints a key; then add "
    "-v vitrine-keys:/keys to this command"
)


def models(variables: Mapping[str, str]) -> Path:
    """Return the folder of the models. Those that Vertex AI names by ``AIP_STORAGE_URI`` are copied to one first.

    Raises:
        SystemExit: they cannot be copied.
    """
    storage = variables.get("AIP_STORAGE_URI")
    if storage:
        return _copied(storage, variables.get("VITRINE_VERIFY_KEY_FILE"))
    if _SAGEMAKER.is_dir() and any(_SAGEMAKER.iterdir()):  # empty if the endpoint has no model data
        return _SAGEMAKER
    mounted = Path(MOUNT_POINT)
    return mounted if mounted.is_dir() else shipped_models()


def _copied(storage: str, verify_key: str | None) -> Path:
    from serving.artifacts.backends.object_store import ObjectStoreBackend, ObjectStoreError  # imports fsspec
    from serving.artifacts.sync import Sync

    verifier = None
    if verify_key:
        from serving.artifacts.signing import Verifier

        verifier = Verifier(Path(verify_key))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.info("copying the models of AIP_STORAGE_URI=%s", storage)
    target = Path(tempfile.gettempdir()) / "vitrine-models"
    target.mkdir(exist_ok=True)
    try:
        complete = Sync(ObjectStoreBackend(storage), target, verifier).once()
    except (OSError, ObjectStoreError, ValueError) as error:
        sys.exit(f"the models of AIP_STORAGE_URI={storage} cannot be copied: {error}")
    if not complete:
        sys.exit(f"the models of AIP_STORAGE_URI={storage} are not complete: an exports folder is expected there")
    return target


def main() -> None:
    """Serve, or run ``vitrine keys``."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["keys"]:
        from serving.cli import keys  # imports typer

        os.environ.setdefault("VITRINE_KEYS", str(_KEYS))
        keys.app(arguments[1:], prog_name="keys")
        return
    if arguments[:1] == ["serve"]:
        os.environ.setdefault("VITRINE_PLATFORM", "sagemaker")
        arguments = arguments[1:]
    if _KEYS.is_file():
        os.environ.setdefault("VITRINE_KEYS", str(_KEYS))
    if not os.environ.get("VITRINE_EXPORTS") and not any(flag.startswith("--exports") for flag in arguments):
        os.environ["VITRINE_EXPORTS"] = str(models(os.environ))
    try:
        settings = gateway.read_settings(arguments, "vitrine-server")
    except ValidationError as error:
        gateway.report(error)
        if any(isinstance(wrong.get("ctx", {}).get("error"), KeysRequired) for wrong in error.errors()):
            print(_HOW_TO_GET_A_KEY, file=sys.stderr)
        sys.exit(2)
    gateway.run(settings)


if __name__ == "__main__":
    main()
