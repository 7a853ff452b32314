"""Terminal output and signals of the training commands."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

Quick = Annotated[bool, typer.Option(help="Take seconds instead of minutes; the figures mean little.")]
StandIn = Annotated[bool, typer.Option(help="Use synthetic data instead of the real data set.")]

console = Console()


def say(sentence: str, style: str | None = None) -> None:
    """Print a sentence as it is: names in the user's files may have brackets, which Rich would take for markup."""
    console.print(sentence, style=style, markup=False, soft_wrap=True)


def quiet_tensorflow() -> None:
    """Hide TensorFlow's messages below errors. Call it before TensorFlow is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def starting_tensorflow() -> Iterator[None]:
    """Show a status, and hide standard error, while TensorFlow is imported.

    Its libraries ignore TF_CPP_MIN_LOG_LEVEL while they are loaded. With the value 0 nothing is hidden.
    """
    with console.status("starting TensorFlow"):
        if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
            yield
            return
        stderr = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nowhere)


def exit_on_sigterm() -> None:
    """Exit with 143 on SIGTERM.

    As process 1 of a container, Python ignores the signal otherwise.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def print_names(kind: str, titles: Mapping[str, str]) -> None:
    """Print a table of jobs or studies."""
    table = Table(kind, "title")
    for name, title in titles.items():
        table.add_row(name, title)
    console.print(table)
