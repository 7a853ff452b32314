"""Kubernetes manifests of training jobs.

A Job trains and publishes, a CronJob retrains, an Indexed Job shares one fit among several pods, and a parallel Job
shares a sweep. They run in the namespace and on the claims of k8s/ and keep its rules.

A replacement pod resumes where an evicted one stopped: checkpoints are on the claim ``training``. Versions go to the
claim ``exports``, which the model server watches, or to an object store.
"""

from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

#: Replacements for pods that fail; each resumes from the last checkpoint.
RETRIES = 4

#: Seconds after which a Job is ended. Applied again, it resumes.
LONGEST_FIT, LONGEST_SWEEP = 24 * 3600, 7 * 24 * 3600

#: Port of the workers of one fit.
PORT = 2222

#: Destination of the versions; the claim or the object store sets the environment variable.
_EXPORTS = ("--exports", "$(EXPORTS)")

#: Exit codes of ``vitrine train`` after the gate's refusal and after the loss of another worker.
_REFUSED, _LOST = 2, 75


@dataclass(frozen=True)
class Trainer:
    """The trainer's pods.

    Attributes:
        image: image with a fixed tag.
        gpu: request one GPU, on a GPU node.
        store: Secret of the component s3-exports with the address ``EXPORTS``; None for the claim.
        signing: Secret whose ``signing.pem`` signs the version.
        namespace: namespace of k8s/.
    """

    image: str
    gpu: bool = False
    store: str | None = None
    signing: str | None = None
    namespace: str = "vitrine"


def job(
    name: str, arguments: list[str], trainer: Trainer, *, schedule: str | None = None, workers: int = 1
) -> list[Manifest]:
    """Return the manifests of one training job.

    Args:
        name: name of the job, as in ``vitrine train NAME``.
        arguments: further options of ``vitrine train``, such as ``--label canary``.
        trainer: the pods.
        schedule: cron schedule of five fields; makes a CronJob that runs one Job at a time.
        workers: number of pods that share the fit, see :mod:`training.core.worker_group`.
    """
    label = name.replace("_", "-")
    metadata = {"name": f"train-{label}", "namespace": trainer.namespace, "labels": _labels(label)}
    container = {"args": [name, *_EXPORTS, "--runs", "/var/lib/vitrine/training/runs", *arguments]}
    spec = _spec(label, _pod(container, trainer), LONGEST_FIT)
    shared = _share(spec, metadata, workers) if workers > 1 else []
    if schedule is None:
        work = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    else:
        work = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": metadata,
            "spec": {
                "schedule": schedule,
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {"metadata": {"labels": _labels(label)}, "spec": spec},
            },
        }
    return [*_prerequisites(trainer.namespace), *shared, work]


def sweep(name: str, arguments: list[str], trainer: Trainer, *, secret: str, workers: int = 1) -> list[Manifest]:
    """Return the manifests of a sweep by several pods.

    The pods share the Optuna study in PostgreSQL.

    Args:
        name: name of the job, as in ``vitrine sweep NAME``.
        arguments: further options of ``vitrine sweep``.
        trainer: the pods.
        secret: Secret whose key ``url`` is the address of the database, ``postgresql://…``.
        workers: number of pods.
    """
    label = name.replace("_", "-")
    container = {
        "command": ["python3", "-m", "training.cli.main"],
        "args": ["sweep", name, *_EXPORTS, "--out", f"/var/lib/vitrine/training/{name}.json", *arguments],
        "env": [{"name": "VITRINE_STORAGE", "valueFrom": {"secretKeyRef": {"name": secret, "key": "url"}}}],
    }
    pod = _pod(container, trainer)
    spec = _spec(label, pod, LONGEST_SWEEP) | {"parallelism": workers, "completions": workers}
    metadata = {"name": f"sweep-{label}", "namespace": trainer.namespace, "labels": _labels(label)}
    work = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    return [*_prerequisites(trainer.namespace), work]


def _spec(label: str, pod: Manifest, longest: int) -> Manifest:
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
        "template": {"metadata": {"labels": _labels(label)}, "spec": pod},
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
    pod = spec["template"]["spec"]
    pod["subdomain"] = name
    # The name comes from the pod's label: a CronJob's Jobs have generated names.
    peers = ", ".join(f'"$(JOB)-{index}.{name}:{PORT}"' for index in range(workers))
    container = pod["containers"][0]
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
        {"name": "KERAS_HOME", "value": "/var/lib/vitrine/training/keras-$(WORKER)"},
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


def _pod(program: Manifest, trainer: Trainer) -> Manifest:
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": "trainer",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "vitrine-training",
        # SIGTERM ends the process at once; the next pod repeats the current epoch.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(program, trainer)],
        "volumes": [
            {"name": "training", "persistentVolumeClaim": {"claimName": "training"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    container = pod["containers"][0]
    if trainer.store is None:
        _mount(pod, {"name": "exports", "persistentVolumeClaim": {"claimName": "exports"}}, "/var/lib/vitrine/exports")
        container["env"].append({"name": "EXPORTS", "value": "/var/lib/vitrine/exports"})
    else:
        container["envFrom"] = [{"secretRef": {"name": trainer.store}}]
    if trainer.gpu:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        terms = [{"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]}]
        pod["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        }
    if trainer.signing is not None:
        # Readable by the group only, which is fsGroup.
        volume = {"name": "signing", "secret": {"secretName": trainer.signing, "defaultMode": 0o440}}
        _mount(pod, volume, "/etc/vitrine/signing", readOnly=True)
        container["env"].append({"name": "VITRINE_SIGNING_KEY", "value": "/etc/vitrine/signing/signing.pem"})
    return pod


def _container(program: Manifest, trainer: Trainer) -> Manifest:
    gpu = {"nvidia.com/gpu": 1} if trainer.gpu else {}
    return {
        "name": "trainer",
        "image": trainer.image,
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi", **gpu},
            "limits": {"cpu": "4", "memory": "8Gi", **gpu},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **program,
        "env": [{"name": "KERAS_HOME", "value": "/var/lib/vitrine/training/keras"}, *program.get("env", ())],
        "volumeMounts": [
            {"name": "training", "mountPath": "/var/lib/vitrine/training"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _mount(pod: Manifest, volume: Manifest, path: str, **options: bool) -> None:
    pod["volumes"].append(volume)
    pod["containers"][0]["volumeMounts"].append({"name": volume["name"], "mountPath": path, **options})


def _prerequisites(namespace: str) -> list[Manifest]:
    """Return the manifests that every training pod needs; applying them twice changes nothing."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "trainer", "namespace": namespace},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "training", "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "20Gi"}}},
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
