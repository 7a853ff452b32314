"""Kubernetes manifests of training jobs, made from the catalogue: a Job that ends in a served version, or a CronJob
that retrains. They run in the namespace and on the claims of k8s/ and keep its rules.

The pod goes on where an evicted one stopped: checkpoints lie on the claim ``training``, and exports/ on ``exports``,
which the model server watches.
"""

from typing import Any

Manifest = dict[str, Any]

#: How often a pod that failed or was evicted is followed by another, which goes on from the last epoch.
RETRIES = 4


def job(
    name: str,
    arguments: list[str],
    *,
    image: str,
    gpu: bool = False,
    schedule: str | None = None,
    namespace: str = "vitrine",
) -> list[Manifest]:
    """What to apply for one job of the catalogue.

    Args:
        name: of the job, as in ``vitrine train NAME``.
        arguments: what else ``vitrine train`` is told: ``--label canary``, ``--quick``, …
        image: of the trainer, with a fixed tag.
        gpu: on a node with a card, one card.
        schedule: cron's five fields; then a CronJob, one run at a time.
    """
    label = name.replace("_", "-")
    metadata = {"name": f"train-{label}", "namespace": namespace, "labels": _labels(label)}
    spec = {
        "backoffLimit": RETRIES,
        # An evicted pod is no failure: it is replaced without being counted. What the gate refused is not made again.
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}},
            ]
        },
        "ttlSecondsAfterFinished": 7 * 24 * 3600,
        "template": {
            "metadata": {"labels": _labels(label)},
            "spec": _pod(name, arguments, image, gpu),
        },
    }
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
    return [*_surroundings(namespace), work]


def _labels(label: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "vitrine",
        "app.kubernetes.io/name": "trainer",
        "app.kubernetes.io/instance": label,
    }


def _pod(name: str, arguments: list[str], image: str, gpu: bool) -> Manifest:
    card = {"nvidia.com/gpu": 1} if gpu else {}
    container = {
        "name": "trainer",
        "image": image,
        "args": [name, "--exports", "/work/exports", "--runs", "/work/training/runs", *arguments],
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi", **card},
            "limits": {"cpu": "4", "memory": "8Gi", **card},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "env": [{"name": "KERAS_HOME", "value": "/work/training/keras"}],
        "volumeMounts": [
            {"name": "exports", "mountPath": "/work/exports"},
            {"name": "training", "mountPath": "/work/training"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": "trainer",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "vitrine-training",
        # SIGTERM ends the process; the epoch under way is made again by the pod that follows.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "exports", "persistentVolumeClaim": {"claimName": "exports"}},
            {"name": "training", "persistentVolumeClaim": {"claimName": "training"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if gpu:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        terms = [{"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]}]
        pod["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        }
    return pod


def _surroundings(namespace: str) -> list[Manifest]:
    """What every training pod needs beside it; applying it twice changes nothing."""
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
            # Data sets come by HTTPS, a shared sweep's study lies in PostgreSQL, workers of one job talk to each other.
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "trainer", "namespace": namespace},
            "spec": {
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "trainer"}},
                "policyTypes": ["Egress"],
                "egress": [
                    {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 5432}]},
                ],
            },
        },
    ]
