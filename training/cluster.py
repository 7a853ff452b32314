"""The command ``vitrine k8s``: manifests of training jobs for ``kubectl apply -f -``."""

from typing import Annotated

import typer
import yaml

from serving.cli import app
from serving.terminal import fail
from training import kubernetes
from training.catalogue import JOBS
from training.job import JobError

k8s = typer.Typer(help="Manifests of training jobs, for kubectl apply -f -.", no_args_is_help=True)
app.add_typer(k8s, name="k8s")


@k8s.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def job(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The job; vitrine train --list prints them all.")],
    image: Annotated[str, typer.Option(help="Of the trainer; the default is by --gpu.", show_default=False)] = "",
    gpu: Annotated[bool, typer.Option("--gpu", help="On a node with a card.")] = False,
    schedule: Annotated[str | None, typer.Option(help="Retrain by cron, as in '0 3 * * *'.")] = None,
    namespace: Annotated[str, typer.Option(help="Where k8s/ was applied.")] = "vitrine",
) -> None:
    """Print what runs one training job on a cluster; what follows its own options goes to `vitrine train`.

    vitrine k8s job fashion_cnn --schedule "0 3 * * *" --label canary | kubectl apply -f -
    """
    if name not in JOBS:
        raise fail(JobError(f"there is no job {name}; there are: {', '.join(JOBS)}"))
    if schedule is not None and len(schedule.split()) != 5:
        raise fail(JobError(f"--schedule {schedule!r} has not cron's five fields: minute hour day month weekday"))
    trainer = image or f"vitrine/trainer{'-gpu' if gpu else ''}:0.1.0"
    if ":" not in trainer.rpartition("/")[2] or trainer.endswith(":latest"):
        raise fail(JobError(f"--image {trainer} has no fixed tag, so that no one could say later what ran"))
    manifests = kubernetes.job(name, context.args, image=trainer, gpu=gpu, schedule=schedule, namespace=namespace)
    print(yaml.safe_dump_all(manifests, sort_keys=False), end="")
