"""Kubernetes manifests of training jobs.

A Job trains and publishes, a CronJob retrains, an Indexed Job shares one fit among several pods, and a parallel Job
shares a sweep. They run in the namespace and on the claims of k8s/ and keep its rules.

A run is continued by its model's name: checkpoints are on the claim ``training``. A replacement pod resumes where an
evicted one stopped, and so does a new Job where a failed or deleted one stopped. Each Job has a name of its own,
because the template of a Job cannot be changed. Versions go to the claim ``exports``, which the model server watches,
or to an object store.
"""

import secrets
from dataclasses import dataclass

from training.deploy.pod import TRAINING, Manifest, Trainer, pod
from training.deploy.validation import LONGEST_CRON_JOB_NAME, LONGEST_JOB_NAME, check_job_name

__all__ = ["Manifest", "Schedule", "Trainer", "job", "sweep"]

#: Replacements for pods that fail; each resumes from the last checkpoint.
RETRIES = 4

#: Seconds after which a Job is ended. A new Job resumes its run.
LONGEST_FIT, LONGEST_SWEEP = 24 * 3600, 7 * 24 * 3600

#: Port of the workers of one fit.
PORT = 2222

#: Destination of the versions; the claim or the object store sets the environment variable.
_EXPORTS = ("--exports", "$(EXPORTS)")

#: Exit codes of ``vitrine train`` after the gate's refusal and after the loss of another worker.
_REFUSED, _LOST = 2, 75


@dataclass(frozen=True)
class Schedule:
    """When a CronJob starts: a cron schedule that :func:`training.deploy.cron.check_schedule` accepts, and its zone."""

    cron: str
    time_zone: str | None = None


def job(
    name: str,
    arguments: list[str],
    trainer: Trainer,
    *,
    model: str | None = None,
    run: str | None = None,
    schedule: Schedule | None = None,
    workers: int = 1,
) -> list[Manifest]:
    """Return the manifests of one training job.

    Args:
        name: name of the job, as in ``vitrine train NAME``.
        arguments: further options of ``vitrine train``, such as ``--label canary``.
        trainer: the pods.
        model: name of the published model, if it is not the job's.
        run: suffix of the Job's name; without it a random one, so that no Job hits another's immutable template.
        schedule: makes a CronJob that runs one Job at a time; its name has no suffix without ``run``.
        workers: number of pods that share the fit, see :mod:`training.core.worker_group`.

    Raises:
        JobError: Kubernetes would refuse the Job's name.
    """
    label = _label(model or name)
    container = {"args": [name, *_EXPORTS, "--runs", f"{TRAINING}/runs", *arguments]}
    spec = _spec(label, pod(container, trainer), LONGEST_FIT)
    shared = _share(spec, _metadata(f"train-{label}", label, trainer), workers) if workers > 1 else []
    if schedule is None:
        work = _job(f"train-{label}-{run or _suffix()}", label, trainer, spec)
    else:
        title = f"train-{label}-{run}" if run else f"train-{label}"
        check_job_name(title, LONGEST_CRON_JOB_NAME)
        work = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": _metadata(title, label, trainer),
            "spec": {
                "schedule": schedule.cron,
                **({"timeZone": schedule.time_zone} if schedule.time_zone else {}),
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": _queued({"metadata": {"labels": _labels(label)}, "spec": spec}, trainer.queue),
            },
        }
    return [*_prerequisites(trainer), *shared, work]


def sweep(
    name: str, arguments: list[str], trainer: Trainer, *, secret: str, run: str | None = None, workers: int = 1
) -> list[Manifest]:
    """Return the manifests of a sweep by several pods.

    The pods share the Optuna study in PostgreSQL.

    Args:
        name: name of the job, as in ``vitrine sweep NAME``.
        arguments: further options of ``vitrine sweep``.
        trainer: the pods.
        secret: Secret whose key ``url`` is the address of the database, ``postgresql://…``.
        run: suffix of the Job's name; without it a random one.
        workers: number of pods.

    Raises:
        JobError: Kubernetes would refuse the Job's name.
    """
    label = _label(name)
    container = {
        "command": ["python3", "-m", "training.cli.main"],
        "args": ["sweep", name, *_EXPORTS, "--out", f"{TRAINING}/{name}.json", *arguments],
        "env": [{"name": "VITRINE_STORAGE", "valueFrom": {"secretKeyRef": {"name": secret, "key": "url"}}}],
    }
    spec = _spec(label, pod(container, trainer), LONGEST_SWEEP) | {"parallelism": workers, "completions": workers}
    return [*_prerequisites(trainer), _job(f"sweep-{label}-{run or _suffix()}", label, trainer, spec)]


def _label(name: str) -> str:
    return name.replace("_", "-").rstrip("-")


def _suffix() -> str:
    """Return five random letters without vowels, as Kubernetes' own generated names have them."""
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))  # pragma: allowlist secret


def _metadata(title: str, label: str, trainer: Trainer) -> Manifest:
    return {"name": title, "namespace": trainer.namespace, "labels": _labels(label)}


def _job(title: str, label: str, trainer: Trainer, spec: Manifest) -> Manifest:
    check_job_name(title, LONGEST_JOB_NAME)
    work = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(title, label, trainer),
        "spec": spec,
    }
    return _queued(work, trainer.queue)


def _queued(work: Manifest, queue: str | None) -> Manifest:
    """Suspend a Job and give it to Kueue, which starts all of its pods or none."""
    if queue is None:
        return work
    labels = {**work["metadata"]["labels"], "kueue.x-k8s.io/queue-name": queue}
    return {**work, "metadata": {**work["metadata"], "labels": labels}, "spec": {"suspend": True, **work["spec"]}}


def _spec(label: str, pod_spec: Manifest, longest: int) -> Manifest:
    return {
        "activeDeadlineSeconds": longest,
        "backoffLimit": RETRIES,
        # An evicted pod is replaced and does not count as a failure. A refusal by the gate is final.
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [_REFUSED]}},
            ]
        },
        "ttlSecondsAfterFinished": 7 * 24 * 3600,
        "template": {"metadata": {"labels": _labels(label)}, "spec": pod_spec},
    }


def _share(spec: Manifest, metadata: Manifest, workers: int) -> list[Manifest]:
    """Share the Job among several pods; return their Service and NetworkPolicy."""
    name, labels = metadata["name"], metadata["labels"]
    spec |= {
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": workers,
        "podReplacementPolicy": "Failed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]},  # worker 0 publishes
    }
    # Only the failure of the stopped pod counts, not those of the pods that lost it.
    lost = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [_LOST]}}
    spec["podFailurePolicy"]["rules"].insert(0, lost)
    pod_spec = spec["template"]["spec"]
    pod_spec["subdomain"] = name
    # The name comes from the pod's label: the Service serves all runs of this model.
    peers = ", ".join(f'"$(JOB)-{index}.{name}:{PORT}"' for index in range(workers))
    container = pod_spec["containers"][0]
    container["ports"] = [{"name": "workers", "containerPort": PORT}]
    container["env"] = [
        *(variable for variable in container["env"] if variable["name"] != "KERAS_HOME"),
        {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}},
        {
            "name": "WORKER",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}},
        },
        {
            "name": "TF_CONFIG",
            "value": f'{{"cluster": {{"worker": [{peers}]}}, "task": {{"type": "worker", "index": $(WORKER)}}}}',
        },
        # Workers must not write the same download.
        {"name": "KERAS_HOME", "value": f"{TRAINING}/keras-$(WORKER)"},
    ]
    workers_only = {"podSelector": {"matchLabels": labels}}
    ports = [{"protocol": "TCP", "port": PORT}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": labels,
                "ports": [{"name": "workers", "port": PORT, "targetPort": "workers"}],
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": {
                **workers_only,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [workers_only], "ports": ports}],
                "egress": [{"to": [workers_only], "ports": ports}],
            },
        },
    ]


def _labels(label: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "vitrine",
        "app.kubernetes.io/name": "trainer",
        "app.kubernetes.io/instance": label,
    }


def _prerequisites(trainer: Trainer) -> list[Manifest]:
    """Return the manifests that every training pod needs; applying them twice changes nothing."""
    namespace = trainer.namespace
    pull_secrets = {"imagePullSecrets": [{"name": trainer.pull_secret}]} if trainer.pull_secret else {}
    storage_class = {"storageClassName": trainer.storage_class} if trainer.storage_class else {}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "trainer", "namespace": namespace},
            "automountServiceAccountToken": False,
            **pull_secrets,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": trainer.claim("training"), "namespace": namespace},
            "spec": {
                "accessModes": [trainer.access_mode],
                "resources": {"requests": {"storage": "20Gi"}},
                **storage_class,
            },
        },
        {
            # HTTPS for data sets and object stores, 9000 for MinIO, 5432 for a sweep's PostgreSQL.
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "trainer", "namespace": namespace},
            "spec": {
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "trainer"}},
                "policyTypes": ["Egress"],
                "egress": [{"ports": [{"protocol": "TCP", "port": port} for port in (443, 9000, 5432)]}],
            },
        },
    ]
