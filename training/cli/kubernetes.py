"""``vitrine k8s``: manifests of training jobs for ``kubectl apply -f -``."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import typer

from serving.cli.terminal import fail, note
from training.cli.sweep import sweep as local_sweep
from training.cli.train import train
from training.core.catalogue import TAKES, WHOLE_BATCHES, check_job, check_takes
from training.core.errors import JobError
from training.deploy import kubernetes, validation
from training.deploy.cron import check_schedule, check_time_zone
from training.deploy.kubernetes import Schedule, Trainer

k8s = typer.Typer(help="Print Kubernetes manifests of training jobs, for kubectl apply -f -.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The job; vitrine train --list prints all.")]
Run = Annotated[str | None, typer.Option(help="Suffix of the Job's name; random without it, so that each Job is new.")]
Image = Annotated[str, typer.Option(help="Trainer image; the default depends on --gpu.", show_default=False)]
Gpu = Annotated[bool, typer.Option("--gpu", help="Run on a GPU node.")]
GpuResource = Annotated[
    str | None, typer.Option(help="Resource of the device plugin instead of nvidia.com/gpu; implies --gpu.")
]
Mig = Annotated[str | None, typer.Option(help="Slice of an NVIDIA card, such as 1g.10gb; implies --gpu.")]
Cpu = Annotated[
    str | None, typer.Option(help="Processors of each pod, such as 4; without it 1, and 4 at most.", show_default=False)
]
Memory = Annotated[
    str | None,
    typer.Option(help="Memory of each pod, such as 8Gi; without it 2Gi, and 8Gi at most.", show_default=False),
]
Queue = Annotated[str | None, typer.Option(help="Kueue's LocalQueue; it starts the Job when there is room.")]
Store = Annotated[str | None, typer.Option(help="Secret of s3-exports (exports-store) with the address EXPORTS.")]
Namespace = Annotated[str, typer.Option(help="Namespace of k8s/.")]
PriorityClass = Annotated[str, typer.Option(help="PriorityClass of the pods; '' for the cluster's default.")]
PullSecret = Annotated[str | None, typer.Option(help="Secret of the image's registry.")]
StorageClass = Annotated[str | None, typer.Option(help="Storage class of the claim training.")]
AccessMode = Annotated[
    Literal["ReadWriteMany", "ReadWriteOnce"],
    typer.Option(help="Access mode of the claims; ReadWriteOnce for a cluster of one node."),
]
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

#: Options of `vitrine train` and `vitrine sweep` whose files the pods read, by parameter.
_PATHS = {"data_dir": "--data-dir", "csv": "--csv", "params": "--params"}

#: Options that name an object of Kubernetes, by the field of Trainer.
_OBJECTS = {
    "store": "--store-secret",
    "signing": "--signing-secret",
    "namespace": "--namespace",
    "queue": "--queue",
    "priority_class": "--priority-class",
    "pull_secret": "--pull-secret",  # nosec B105 # a flag
    "storage_class": "--storage-class",
}


@k8s.command(context_settings=_PASS_ON)
def job(
    context: typer.Context,
    name: Name,
    run: Run = None,
    image: Image = "",
    gpu: Gpu = False,
    gpu_resource: GpuResource = None,
    mig: Mig = None,
    cpu: Cpu = None,
    memory: Memory = None,
    queue: Queue = None,
    schedule: Annotated[str | None, typer.Option(help="Cron schedule to retrain, for example '0 3 * * *'.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Time zone of --schedule, for example Europe/Berlin.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the fit.")] = 1,
    store_secret: Store = None,
    signing_secret: Annotated[str | None, typer.Option(help="Secret whose signing.pem signs the version.")] = None,
    namespace: Namespace = "vitrine",
    priority_class: PriorityClass = "vitrine-training",
    pull_secret: PullSecret = None,
    storage_class: StorageClass = None,
    access_mode: AccessMode = "ReadWriteMany",
) -> None:
    """Print the manifests of one training job; further options go to `vitrine train`.

    An unfinished run of the same model resumes from its last checkpoint.

    vitrine k8s job fashion_cnn --schedule "0 3 * * *" --label canary | kubectl apply -f -
    """
    try:
        options = _check(train, name, context.args)
        if workers > 1 and name in WHOLE_BATCHES:
            raise JobError(f"{name} cannot be shared by {workers} workers: its loss compares the examples of a batch")
        trainer = _trainer(
            image, gpu, gpu_resource, mig,
            cpu=cpu, memory=memory, store=store_secret, signing=signing_secret, namespace=namespace, queue=queue,
            priority_class=priority_class or None, pull_secret=pull_secret, storage_class=storage_class,
            access_mode=access_mode, pods=workers,
        )  # fmt: skip
        manifests = kubernetes.job(
            name, context.args, trainer,
            model=options["model"], run=run, schedule=_schedule(schedule, time_zone), workers=workers,
        )  # fmt: skip
    except JobError as error:
        raise fail(error) from None
    _print_manifests(manifests)


@k8s.command(context_settings=_PASS_ON)
def sweep(
    context: typer.Context,
    name: Name,
    storage_secret: Annotated[str, typer.Option(help="Secret whose key url is postgresql://USER:PASSWORD@HOST/DB.")],
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the sweep.")] = 2,
    run: Run = None,
    image: Image = "",
    gpu: Gpu = False,
    gpu_resource: GpuResource = None,
    mig: Mig = None,
    cpu: Cpu = None,
    memory: Memory = None,
    queue: Queue = None,
    store_secret: Store = None,
    namespace: Namespace = "vitrine",
    priority_class: PriorityClass = "vitrine-training",
    pull_secret: PullSecret = None,
    storage_class: StorageClass = None,
    access_mode: AccessMode = "ReadWriteMany",
) -> None:
    """Print the manifests of a sweep by several pods.

    Further options go to `vitrine sweep`.

    vitrine k8s sweep fashion_cnn --workers 4 --storage-secret sweeps --trials 40 | kubectl apply -f -
    """
    try:
        _check(local_sweep, name, context.args)
        validation.check_object_name("--storage-secret", storage_secret)
        trainer = _trainer(
            image, gpu, gpu_resource, mig,
            cpu=cpu, memory=memory, store=store_secret, namespace=namespace, queue=queue,
            priority_class=priority_class or None, pull_secret=pull_secret, storage_class=storage_class,
            access_mode=access_mode, pods=workers,
        )  # fmt: skip
        manifests = kubernetes.sweep(name, context.args, trainer, secret=storage_secret, run=run, workers=workers)
    except JobError as error:
        raise fail(error) from None
    _print_manifests(manifests)


def _print_manifests(manifests: list[kubernetes.Manifest]) -> None:
    import yaml

    print(yaml.safe_dump_all(manifests, sort_keys=False), end="")
    work = manifests[-1]
    title, namespace = work["metadata"]["name"], work["metadata"]["namespace"]
    if work["kind"] == "Job":
        note(f"Job {title}. Once it runs: kubectl -n {namespace} logs -f job/{title}")
    else:
        note(f"CronJob {title}. To run it now: kubectl -n {namespace} create job --from=cronjob/{title} {title}-now")


def _check(command: Callable[..., None], name: str, arguments: list[str]) -> Mapping[str, Any]:
    """Check the job's name and the options that the pods give to the command; return the options."""
    check_job(name)
    parser = typer.Typer(add_completion=False)
    parser.command()(command)
    title = f"vitrine {command.__name__}"
    options = typer.main.get_command(parser).make_context(title, [name, *arguments]).params
    check_takes(name, [option for option, value in options.items() if option in TAKES and value])
    for parameter, option in _PATHS.items():
        if path := options.get(parameter):
            validation.check_path_in_pod(option, path)
    return options


def _trainer(image: str, gpu: bool, gpu_resource: str | None, mig: str | None, *, pods: int, **values: Any) -> Trainer:
    """Return the pods' settings.

    Raises:
        JobError: Kubernetes would refuse one of them, or a claim is for fewer pods.
    """
    if gpu_resource and mig:
        raise JobError(f"--gpu-resource is {gpu_resource} and --mig is {mig}; give one of them")
    if mig:
        validation.check_mig(mig)
    resource = f"nvidia.com/mig-{mig}" if mig else gpu_resource or ("nvidia.com/gpu" if gpu else None)
    trainer = Trainer(_trainer_image(image, gpu=resource is not None), resource, **values)
    if trainer.gpu:
        validation.check_gpu_resource(trainer.gpu)
    if trainer.cpu:
        validation.check_cpu(trainer.cpu)
    if trainer.memory:
        validation.check_memory(trainer.memory)
    for field, option in _OBJECTS.items():
        if value := getattr(trainer, field):
            validation.check_object_name(option, value)
    if pods > 1 and trainer.access_mode == "ReadWriteOnce":
        raise JobError(f"--access-mode is ReadWriteOnce and --workers is {pods}; several pods need ReadWriteMany")
    return trainer


def _schedule(cron: str | None, time_zone: str | None) -> Schedule | None:
    if cron is None:
        if time_zone is not None:
            raise JobError(f"--time-zone is {time_zone}, and --schedule is missing; give both")
        return None
    check_schedule(cron)
    if time_zone is not None:
        check_time_zone(time_zone)
    return Schedule(cron, time_zone)


def _trainer_image(image: str, gpu: bool) -> str:
    """Return the trainer image. Raises JobError if its tag is not fixed."""
    trainer = image or f"vitrine/trainer{'-gpu' if gpu else ''}:0.1.0"
    if ":" not in trainer.rpartition("/")[2] or trainer.endswith(":latest"):
        raise JobError(f"--image is {trainer}; a fixed tag is expected, so that a version can be traced to its image")
    return trainer
