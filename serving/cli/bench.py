"""``vitrine bench``."""

import subprocess
import sys
from pathlib import Path

import typer

from serving.cli.terminal import fail


def bench(context: typer.Context) -> None:
    """Benchmark the gateway and other servers.

    Runs python -m benchmarks.gateway with its options.
    """
    if not Path("benchmarks/gateway").is_dir():
        raise fail("benchmarks/gateway is not in this folder: run vitrine bench in the repository's root")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gateway", *context.args], check=False)
    raise typer.Exit(done.returncode)
