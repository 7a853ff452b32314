"""``vitrine k8s``: manifests of training jobs for ``kubectl apply -f -``."""

from collections.abc import Callable
from typing import Annotated

import typer

from serving.cli.terminal import fail
from training.cli.sweep import sweep as local_sweep
from training.cli.train import train
from training.core.catalogue import TAKES, check_job, check_takes, find
from training.core.errors import JobError
from training.deploy import kubernetes
from training.deploy.kubernetes import Trainer

k8s = typer.Typer(help="Print Kubernetes manifests of training jobs, for kubectl apply -f -.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The job; vitrine train --list prints all.")]
Image = Annotated[str, typer.Option(help="Trainer image; the default depends on --gpu.", show_default=False)]
Gpu = Annotated[bool, typer.Option("--gpu", help="Run on a GPU node.")]
Store = Annotated[str | None, typer.Option(help="Secret of s3-exports (exports-store) with the address EXPORTS.")]
Namespace = Annotated[str, typer.Option(help="Namespace of k8s/.")]
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@k8s.command(context_settings=_PASS_ON)
def job(
    context: typer.Context,
    name: Name,
    image: Image = "",
    gpu: Gpu = False,
    schedule: Annotated[str | None, typer.Option(help="Cron schedule to retrain, for example '0 3 * * *'.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the fit.")] = 1,
    store_secret: Store = None,
    signing_secret: Annotated[str | None, typer.Option(help="Secret whose signing.pem signs the version.")] = None,
    namespace: Namespace = "vitrine",
) -> None:
    """Print the manifests of one training job; further options go to `vitrine train`.

    vitrine k8s job fashion_cnn --schedule "0 3 * * *" --label canary | kubectl apply -f -
    """
    _check(train, name, context.args)
    if workers > 1 and find(name).whole_batches:
        raise fail(f"{name} cannot be shared by {workers} workers: its loss compares the examples of a batch")
    if schedule is not None and len(schedule.split()) != 5:
        raise fail(f"--schedule is {schedule!r}; cron's five fields are expected: minute hour day month weekday")
    trainer = Trainer(_trainer_image(image, gpu), gpu, store_secret, signing_secret, namespace)
    _print_manifests(kubernetes.job(name, context.args, trainer, schedule=schedule, workers=workers))


@k8s.command(context_settings=_PASS_ON)
def sweep(
    context: typer.Context,
    name: Name,
    storage_secret: Annotated[str, typer.Option(help="Secret whose key url is postgresql://USER:PASSWORD@HOST/DB.")],
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the sweep.")] = 2,
    image: Image = "",
    gpu: Gpu = False,
    store_secret: Store = None,
    namespace: Namespace = "vitrine",
) -> None:
    """Print the manifests of a sweep by several pods.

    Further options go to `vitrine sweep`.

    vitrine k8s sweep fashion_cnn --workers 4 --storage-secret sweeps --trials 40 | kubectl apply -f -
    """
    _check(local_sweep, name, context.args)
    trainer = Trainer(_trainer_image(image, gpu), gpu, store_secret, namespace=namespace)
    _print_manifests(kubernetes.sweep(name, context.args, trainer, secret=storage_secret, workers=workers))


def _print_manifests(manifests: list[kubernetes.Manifest]) -> None:
    import yaml

    print(yaml.safe_dump_all(manifests, sort_keys=False), end="")


def _check(command: Callable[..., None], name: str, arguments: list[str]) -> None:
    """Check the job's name, and the options that the pods give to the command."""
    try:
        check_job(name)
        parser = typer.Typer(add_completion=False)
        parser.command()(command)
        title = f"vitrine {command.__name__}"
        options = typer.main.get_command(parser).make_context(title, [name, *arguments]).params
        check_takes(name, [option for option, value in options.items() if option in TAKES and value])
    except JobError as error:
        raise fail(error) from None


def _trainer_image(image: str, gpu: bool) -> str:
    """Return the trainer image; exit with an error if its tag is not fixed."""
    trainer = image or f"vitrine/trainer{'-gpu' if gpu else ''}:0.1.0"
    if ":" not in trainer.rpartition("/")[2] or trainer.endswith(":latest"):
        raise fail(f"--image is {trainer}; a fixed tag is expected, so that a version can be traced to its image")
    return trainer
