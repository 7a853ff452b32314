"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Exports = Annotated[
    str, typer.Option(envvar="VITRINE_EXPORTS", help="Folder of all models, or its address: s3://… or gs://…")
]
SigningKey = Annotated[
    Path | None, typer.Option(envvar="VITRINE_SIGNING_KEY", help="Ed25519 private key (PEM) that signs the version.")
]
Url = Annotated[str, typer.Option(envvar="VITRINE_URL", help="Address of the gateway.")]
