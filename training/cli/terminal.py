"""Terminal output and signals of the training commands."""

import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

Quick = Annotated[bool, typer.Option(help="Take seconds instead of minutes; the figures mean little.")]
StandIn = Annotated[bool, typer.Option(help="Use synthetic data instead of the real data set.")]

console = Console()


def quiet_tensorflow() -> None:
    """Hide TensorFlow's messages below errors. Call it before TensorFlow is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


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
