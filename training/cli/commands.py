"""Registration of the training commands.

:mod:`serving.cli.main` imports this module lazily.
"""

import typer

from training.cli.kubernetes import k8s
from training.cli.reproduce import reproduce
from training.cli.study import study
from training.cli.sweep import sweep
from training.cli.train import train

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(k8s, name="k8s")
for command in (train, study, sweep, reproduce):
    app.command()(command)
