"""What the commands share at the terminal."""

import typer
from rich.console import Console

console = Console(highlight=False)
_errors = Console(highlight=False, stderr=True)


def fail(error: Exception | str) -> typer.Exit:
    """Say what was wrong, in red, on standard error, and end with 1."""
    _errors.print(str(error), style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
