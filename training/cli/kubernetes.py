"""The command ``vitrine k8s``: manifests of training jobs for ``kubectl apply -f -``."""

from typing import Annotated

import typer
import yaml

from serving.cli.models import app
from serving.cli.terminal import fail
from training.core.catalogue import JOBS, find
from training.deploy import kubernetes

k8s = typer.Typer(help="Manifests of training jobs, for kubectl apply -f -.", no_args_is_help=True)
app.add_typer(k8s, name="k8s")

Name = Annotated[str, typer.Argument(help="The job; vitrine train --list prints them all.")]
Image = Annotated[str, typer.Option(help="Of the trainer; the default is by --gpu.", show_default=False)]
Gpu = Annotated[bool, typer.Option("--gpu", help="On a node with a card.")]
Store = Annotated[str | None, typer.Option(help="Secret exports-store of s3-exports: where its EXPORTS says.")]
Namespace = Annotated[str, typer.Option(help="Where k8s/ was applied.")]


@k8s.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def job(
    context: typer.Context,
    name: Name,
    image: Image = "",
    gpu: Gpu = False,
    schedule: Annotated[str | None, typer.Option(help="Retrain by cron, as in '0 3 * * *'.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the fit.")] = 1,
    store_secret: Store = None,
    signing_secret: Annotated[str | None, typer.Option(help="Secret whose signing.pem signs the version.")] = None,
    namespace: Namespace = "vitrine",
) -> None:
    """Print what runs one training job on a cluster; what follows its own options goes to `vitrine train`.

    vitrine k8s job fashion_cnn --schedule "0 3 * * *" --label canary | kubectl apply -f -
    """
    check_name(name)
    if workers > 1 and find(name).whole_batches:
        raise fail(f"{name} cannot be shared by {workers} workers: its loss compares the examples of a batch")
    if schedule is not None and len(schedule.split()) != 5:
        raise fail(f"--schedule {schedule!r} has not cron's five fields: minute hour day month weekday")
    manifests = kubernetes.job(
        name,
        context.args,
        image=fixed(image, gpu),
        gpu=gpu,
        schedule=schedule,
        workers=workers,
        store=store_secret,
        signing=signing_secret,
        namespace=namespace,
    )
    print(yaml.safe_dump_all(manifests, sort_keys=False), end="")


@k8s.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    """Print what sweeps one job's parameters by several pods; what follows its own options goes to `vitrine sweep`.

    vitrine k8s sweep fashion_cnn --workers 4 --storage-secret sweeps --trials 40 | kubectl apply -f -
    """
    check_name(name)
    manifests = kubernetes.sweep(
        name,
        context.args,
        image=fixed(image, gpu),
        secret=storage_secret,
        gpu=gpu,
        workers=workers,
        store=store_secret,
        namespace=namespace,
    )
    print(yaml.safe_dump_all(manifests, sort_keys=False), end="")


def check_name(name: str) -> None:
    if name not in JOBS:
        raise fail(f"there is no job {name}; there are: {', '.join(JOBS)}")


def fixed(image: str, gpu: bool) -> str:
    """The image of the trainer, which must say what ran, also later."""
    trainer = image or f"vitrine/trainer{'-gpu' if gpu else ''}:0.1.0"
    if ":" not in trainer.rpartition("/")[2] or trainer.endswith(":latest"):
        raise fail(f"--image {trainer} has no fixed tag, so that no one could say later what ran")
    return trainer
