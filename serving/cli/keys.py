"""``vitrine keys``: the API keys of the gateway's callers."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from serving.artifacts.registry import ModelRegistry
from serving.artifacts.user_models import USER_EXPORTS, shipped_models
from serving.cli.options import Exports
from serving.cli.terminal import console, fail, note
from serving.gateway.http import keys_file
from serving.gateway.http.keys_file import ADMIN, SCOPES, KeysError

app = typer.Typer(
    help="Manage the API keys of callers. The gateway reloads the file when it changes.", no_args_is_help=True
)

File = Annotated[Path, typer.Option("--keys", envvar="VITRINE_KEYS", help="The gateway's file of keys.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The key's owner.")],
    model: Annotated[list[str] | None, typer.Option(help="Allow this model only; repeat for several.")] = None,
    verb: Annotated[
        list[str] | None,
        typer.Option(help=f"Allow this verb only; repeat for several: {', '.join(SCOPES)}. Without it, all but admin."),
    ] = None,
    rate: Annotated[str | None, typer.Option(help="Rate limit, for example 10/second.")] = None,
    days: Annotated[
        float | None, typer.Option(help="Days until the key expires; without it, never.", min=0, max=36500)
    ] = None,
    file: File = Path(".vitrine/keys.json"),
    exports: Exports = None,
) -> None:
    """Create a key and print it, once: the file keeps only its hash."""
    unknown = [name for name in verb or () if name not in SCOPES]
    if unknown:
        raise fail(f"--verb is {unknown[0]!r}; one of {', '.join(SCOPES)} is expected")
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    try:
        _, key = keys_file.create(file, name, frozenset(model or ()), frozenset(verb or ()), rate, expires)
    except KeysError as error:
        raise fail(error) from None
    if model:
        _note_unknown(model, exports)
    print(key)


def _note_unknown(models: list[str], exports: str | None) -> None:
    """Name the models that do not exist. The key is valid: the gateway may have other models."""
    folder = exports or (USER_EXPORTS if USER_EXPORTS.is_dir() else shipped_models())
    with contextlib.suppress(OSError):
        known = ModelRegistry(folder).models()
        for name in models:
            if name not in known:
                note(f"note: {folder} has no model {name}; it has: {', '.join(known) or 'none'}")


@app.command("list")
def list_keys(file: File = Path(".vitrine/keys.json")) -> None:
    """List the keys with their limits; the keys themselves are not stored."""
    try:
        keys = keys_file.read(file)
    except KeysError as error:
        raise fail(error) from None
    table = Table("id", "name", "models", "verbs", "rate", "created", "expires")
    for key in keys.values():
        table.add_row(
            key.id,
            key.name,
            ", ".join(sorted(key.models)) or "all",
            ", ".join(sorted(key.verbs)) or f"all but {ADMIN}",
            key.rate or "",
            f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d %H:%M}" if key.expires else "",
        )
    console.print(table if keys else f"{file} has no keys.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as vitrine keys list prints it.")],
    file: File = Path(".vitrine/keys.json"),
) -> None:
    """Revoke a key. Running gateways refuse it within about a second."""
    try:
        revoked = keys_file.revoke(file, key_id)
    except KeysError as error:
        raise fail(error) from None
    console.print(f"key {revoked.id} of {revoked.name} is revoked")
