"""What the commands share at the terminal."""

import typer
from rich.console import Console

#: Prints names, labels and paths as they are: brackets and colons in them are no markup of Rich's.
console = Console(highlight=False, markup=False, emoji=False)
_errors = Console(highlight=False, markup=False, emoji=False, stderr=True)


def fail(error: Exception | str) -> typer.Exit:
    """Say what was wrong, in red, on standard error, and end with 1."""
    text = str(error).encode(errors="backslashreplace").decode()  # a file's name may be no UTF-8
    _errors.print(text, style="red", soft_wrap=True)
    return typer.Exit(1)
