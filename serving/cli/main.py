"""The `vitrine` command and the registration of its commands.

Training commands are in :mod:`training.cli.commands`. They are imported when one of them runs, so the others start
quickly and work without TensorFlow.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import serving
from serving import extras
from serving.cli import bench, keys, models, predict, score, up, versions

#: Training commands and their lines in ``vitrine --help``.
TRAINING = {
    "k8s": "Print Kubernetes manifests of training jobs, for kubectl apply -f -.",
    "train": "Train a model, compare it with the live version, and publish a new version.",
    "study": "Run an experiment that ends in a table and a plot.",
    "sweep": "Search a job's hyper-parameters: coarsely on a subset, then finely.",
    "reproduce": "Run every outdated job and study, and compare the figures with the courses'.",
}

#: Settings of a command that passes its arguments on.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


class Commands(TyperGroup):
    """The group of all commands. A command that lacks an optional package names the extra to install."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ImportError as error:
            raise extras.named(f"vitrine {ctx.invoked_subcommand}", error) from None


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"vitrine {serving.__version__}")
        raise typer.Exit


@app.callback()
def vitrine(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Small Keras models from training job to HTTP answer."""


app.add_typer(keys.app, name="keys")
for command in (
    models.models,
    versions.promote,
    versions.sign,
    versions.rollback,
    versions.canary,
    predict.predict,
    predict.embed,
    predict.forecast,
    score.score,
    up.up,
):
    app.command()(command)
app.command(add_help_option=False, context_settings=_PASS_ON)(bench.bench)


def _training(context: typer.Context) -> None:
    from training.cli import commands

    commands.app([context.info_name or "", *context.args], prog_name=context.find_root().info_name)


for _name, _help in TRAINING.items():
    app.command(_name, help=_help, add_help_option=False, context_settings=_PASS_ON)(_training)


if __name__ == "__main__":
    app(prog_name="vitrine")
