"""``vitrine keys``: the keys that callers of the gateway show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from serving.cli.terminal import console, fail
from serving.gateway.http import keys_file as keys
from serving.gateway.http.keys_file import KeysError
from serving.gateway.http.paths import SCOPES

app = typer.Typer(help="Keys for callers of the gateway, which reads them again as they change.", no_args_is_help=True)

File = Annotated[Path, typer.Option("--keys", envvar="VITRINE_KEYS", help="The file of keys, as the gateway has it.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    model: Annotated[list[str] | None, typer.Option(help="For this model alone; may be repeated.")] = None,
    verb: Annotated[list[str] | None, typer.Option(help=f"For this alone: {', '.join(SCOPES)}.")] = None,
    rate: Annotated[str | None, typer.Option(help="At most so many requests, as in 10/second.")] = None,
    days: Annotated[
        float | None, typer.Option(help="How long it is good; without, for ever.", min=0, max=36500)
    ] = None,
    file: File = Path(".vitrine/keys.json"),
) -> None:
    """Make a key and print it, this once: the file holds a hash of it alone."""
    unknown = [one for one in verb or () if one not in SCOPES]
    if unknown:
        raise fail(f"{unknown[0]!r} is none of {', '.join(SCOPES)}")
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    try:
        _, shown = keys.create(file, name, frozenset(model or ()), frozenset(verb or ()), rate, expires)
    except KeysError as error:
        raise fail(error) from None
    print(shown)


@app.command("list")
def list_keys(file: File = Path(".vitrine/keys.json")) -> None:
    """Print what is known of each key."""
    try:
        known = keys.read(file)
    except KeysError as error:
        raise fail(error) from None
    table = Table("id", "name", "models", "verbs", "rate", "made", "good until")
    for key in known.values():
        table.add_row(
            key.id,
            key.name,
            ", ".join(sorted(key.models)) or "all",
            ", ".join(sorted(key.verbs)) or "all",
            key.rate or "",
            f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d %H:%M}" if key.expires else "",
        )
    console.print(table if known else f"There is no key in {file}.")


@app.command()
def revoke(
    number: Annotated[str, typer.Argument(metavar="ID", help="As vitrine keys list prints it.")],
    file: File = Path(".vitrine/keys.json"),
) -> None:
    """Take a key away; running gateways refuse it within a second or so."""
    try:
        gone = keys.revoke(file, number)
    except KeysError as error:
        raise fail(error) from None
    console.print(f"key {gone.id} of {gone.name} is no more")
