"""Console output and errors of the commands."""

import typer
from rich.console import Console

#: Prints names, labels and paths literally: Rich does not interpret brackets and colons in them.
console = Console(highlight=False, markup=False, emoji=False)
_errors = Console(highlight=False, markup=False, emoji=False, stderr=True)


def fail(error: Exception | str) -> typer.Exit:
    """Print the error in red on standard error; raise the returned exit (code 1)."""
    text = str(error).encode(errors="backslashreplace").decode()  # a file name may not be valid UTF-8
    _errors.print(text, style="red", soft_wrap=True)
    return typer.Exit(1)


def note(text: str) -> None:
    """Print a remark on standard error, which is not part of the command's result."""
    _errors.print(text, style="dim", soft_wrap=True)
