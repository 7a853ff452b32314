"""Page of the ``vitrine`` command."""

from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from serving.cli.main import TRAINING, app
from tests.docs.reference.markdown import code, page, table
from training.cli.commands import app as training_app

_INTRODUCTION = f"""
`vitrine COMMAND --help` prints the same. Exit codes: 0 done, 1 an error (one sentence on standard error), 2 a wrong
option, or a gate that refused a version. The commands {", ".join(f"`{name}`" for name in TRAINING)} need the training
extra: `pip install 'vitrine-serving[training]'`.
"""


def render() -> str:
    """Return the page."""
    commands = _commands(app) | {name: command for name, command in _commands(training_app).items() if name in TRAINING}
    parts = [part for name, command in commands.items() for part in _command(f"vitrine {name}", command)]
    return page("Command line", "serving/cli and training/cli", _INTRODUCTION, *parts)


def _commands(of: typer.Typer) -> dict[str, TyperCommand | TyperGroup]:
    group = typer.main.get_command(of)
    assert isinstance(group, TyperGroup)
    return group.commands


def _command(name: str, command: TyperCommand | TyperGroup) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    yield f"## {name}"
    if isinstance(command, TyperGroup):
        yield command.help or ""
        for inner, subcommand in command.commands.items():
            yield from (part.replace("## ", "### ", 1) for part in _command(f"{name} {inner}", subcommand))
        return
    yield f"`{' '.join([name, *command.collect_usage_pieces(context)])}`"
    yield command.help or ""
    rows = [_row(option, context) for option in command.get_params(context) if option.name != "help"]
    if rows:
        yield table(("option", "default", "description"), rows)


def _row(option: TyperArgument | TyperOption, context: typer.Context) -> tuple[str, str, str]:
    names = " ".join(code(name) for name in [*option.opts, *option.secondary_opts])
    if isinstance(option, TyperArgument):
        names = code((option.name or "").upper())
    given = option.show_default if isinstance(option.show_default, str) else option.get_default(context, call=False)
    default = code(str(given).strip("()")) if given not in (None, False, ()) and not callable(given) else "–"
    text = getattr(option, "help", None) or ""
    variable = option.envvar if isinstance(option.envvar, str) else ""
    return names, default, f"{text} Variable: {code(variable)}." if variable else text
