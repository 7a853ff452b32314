"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from serving.artifacts import user_models
from serving.cli.terminal import note

#: A command passes its value to :func:`exports_or_default`.
Exports = Annotated[
    str | None,
    typer.Option(
        envvar="VITRINE_EXPORTS",
        help="Folder of all models, or its address: s3://… or gs://…",
        show_default=str(user_models.USER_EXPORTS),
    ),
]
SigningKey = Annotated[
    Path | None, typer.Option(envvar="VITRINE_SIGNING_KEY", help="Ed25519 private key (PEM) that signs the version.")
]
Url = Annotated[str, typer.Option(envvar="VITRINE_URL", help="Address of the gateway.")]


def exports_or_default(exports: str | None) -> str | Path:
    """Return the value of ``--exports``; without one, the user's own folder with the shipped models.

    Raises:
        RegistryError: The user's own folder cannot be written.
        ConfigError: A models.config is invalid.
    """
    return exports or user_models.default_exports(note)
