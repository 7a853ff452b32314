"""What the commands of training share at the terminal."""

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.core.job import JobError

console = Console()


def quiet_tensorflow() -> None:
    """Before it is imported: none of its messages below an error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def exit_on_sigterm() -> None:
    """End in good order, with 143: as a container's first process Python would not even hear a SIGTERM."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def print_names(what: str, titles: Mapping[str, str]) -> None:
    table = Table(what, "what it is")
    for name, title in titles.items():
        table.add_row(name, title)
    console.print(table)


def read_params(path: Path) -> dict[str, float | int]:
    """Recipe parameters from a JSON file; whether a job has them is its own to say.

    Raises:
        JobError: the file is missing or no JSON object.
    """
    try:
        params = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"--params {path} cannot be read: {error}") from None
    if not isinstance(params, dict):
        raise JobError(f'--params {path} holds no JSON object; {{"learning_rate": 0.001}} would be one')
    return params
