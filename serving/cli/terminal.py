"""Console output and errors of the commands."""

import typer
from rich.console import Console
from rich.table import Table

#: Prints names, labels and paths literally: Rich does not interpret brackets and colons in them.
console = Console(highlight=False, markup=False, emoji=False)
_WIDEST = 1_000  # characters of a table
_errors = Console(highlight=False, markup=False, emoji=False, stderr=True)


def print_whole(table: Table) -> None:
    """Print a table without shortened cells, even if it is wider than the terminal."""
    widest = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    Console(highlight=False, markup=False, emoji=False, width=max(widest, console.width)).print(table)


def fail(error: Exception | str) -> typer.Exit:
    """Print the error in red on standard error; raise the returned exit (code 1)."""
    text = str(error).encode(errors="backslashreplace").decode()  # a file name may not be valid UTF-8
    _errors.print(text, style="red", soft_wrap=True)
    return typer.Exit(1)


def note(text: str) -> None:
    """Print a remark on standard error, which is not part of the command's result."""
    _errors.print(text, style="dim", soft_wrap=True)
