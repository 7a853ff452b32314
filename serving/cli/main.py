"""The `vitrine` command and the registration of its commands.

Training commands are in :mod:`training.cli.commands`. They are imported when one of them runs, so the others start
quickly and work without TensorFlow.
"""

import typer

from serving.cli import bench, keys, models, predict, score, up, versions
from serving.cli.terminal import fail

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

app = typer.Typer(
    help="Small Keras models from training job to HTTP answer.", no_args_is_help=True, pretty_exceptions_enable=False
)
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
    try:
        from training.cli import commands

        commands.app([context.info_name or "", *context.args], prog_name=context.find_root().info_name)
    except ModuleNotFoundError as error:
        package = (error.name or "serving").partition(".")[0]
        if package in ("serving", "training"):
            raise
        raise fail(
            f"vitrine {context.info_name} needs the package {package}, which is not installed. "
            "Install the training extra: pip install -e '.[training]'"
        ) from None


for _name, _help in TRAINING.items():
    app.command(_name, help=_help, add_help_option=False, context_settings=_PASS_ON)(_training)


if __name__ == "__main__":
    app(prog_name="vitrine")
