"""Kubernetes manifests of training jobs, made from the catalogue: a Job that ends in a served version, a CronJob that
retrains, several pods that share a fit or a sweep. They run in the namespace and on the claims of k8s/ and keep its
rules.

The pod goes on where an evicted one stopped: checkpoints lie on the claim ``training``, and exports/ on ``exports``,
which the model server watches, or in an object store.
"""

from typing import Any

Manifest = dict[str, Any]

#: How often a pod that failed or was evicted is followed by another, which goes on from the last epoch.
RETRIES = 4

#: Seconds after which a Job is ended, whatever it waits for; applied again it goes on. A fit takes minutes to hours.
LONGEST_FIT, LONGEST_SWEEP = 24 * 3600, 7 * 24 * 3600

#: Where the workers of one fit meet.
PORT = 2222

#: Of the claim or of the object store, as the container's environment has it.
_EXPORTS = ("--exports", "$(EXPORTS)")

#: What ``vitrine train`` ends with where the gate refused, and where another worker was lost.
_REFUSED, _LOST = 2, 75


def job(
    name: str,
    arguments: list[str],
    *,
    image: str,
    gpu: bool = False,
    schedule: str | None = None,
    workers: int = 1,
    store: str | None = None,
    signing: str | None = None,
    namespace: str = "vitrine",
) -> list[Manifest]:
    """What to apply for one job of the catalogue.

    Args:
        name: of the job, as in ``vitrine train NAME``.
        arguments: what else ``vitrine train`` is told: ``--label canary``, ``--quick``, …
        image: of the trainer, with a fixed tag.
        gpu: on a node with a card, one card.
        schedule: cron's five fields; then a CronJob, one run at a time.
        workers: pods that share the fit, see :mod:`training.core.worker_group`.
        store: Secret of the component s3-exports, whose ``EXPORTS`` says where versions go; without it, to the claim.
        signing: Secret whose ``signing.pem`` signs the version.
    """
    label = name.replace("_", "-")
    metadata = {"name": f"train-{label}", "namespace": namespace, "labels": _labels(label)}
    container = {"args": [name, *_EXPORTS, "--runs", "/var/lib/vitrine/training/runs", *arguments]}
    pod = _pod(container, image, gpu, store)
    if signing is not None:
        _sign(pod, signing)
    spec = _spec(label, pod, LONGEST_FIT)
    together = _share(spec, metadata, workers) if workers > 1 else []
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
    return [*_surroundings(namespace), *together, work]


def sweep(
    name: str,
    arguments: list[str],
    *,
    image: str,
    secret: str,
    gpu: bool = False,
    workers: int = 1,
    store: str | None = None,
    namespace: str = "vitrine",
) -> list[Manifest]:
    """What to apply for a sweep over the parameters of one job, by several pods that share the study in PostgreSQL.

    Args:
        secret: whose key ``url`` is the address of the database, ``postgresql://…``.
        name, arguments, image, gpu, store: as for :func:`job`; ``arguments`` are those of ``vitrine sweep``.
    """
    label = name.replace("_", "-")
    container = {
        "command": ["python3", "-m", "training.cli.main"],
        "args": ["sweep", name, *_EXPORTS, "--out", f"/var/lib/vitrine/training/{name}.json", *arguments],
        "env": [{"name": "VITRINE_STORAGE", "valueFrom": {"secretKeyRef": {"name": secret, "key": "url"}}}],
    }
    pod = _pod(container, image, gpu, store)
    spec = _spec(label, pod, LONGEST_SWEEP) | {"parallelism": workers, "completions": workers}
    metadata = {"name": f"sweep-{label}", "namespace": namespace, "labels": _labels(label)}
    work = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    return [*_surroundings(namespace), work]


def _spec(label: str, pod: Manifest, longest: int) -> Manifest:
    return {
        "activeDeadlineSeconds": longest,
        "backoffLimit": RETRIES,
        # An evicted pod is no failure: it is replaced without being counted. What the gate refused is not made again.
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
    """Make the Job one of several pods that know each other; answers what they need beside it."""
    name, labels = metadata["name"], metadata["labels"]
    spec |= {
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": workers,
        "podReplacementPolicy": "Failed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]},  # who publishes
    }
    # Who lost another is started again with it, and only that one's failure counts.
    lost = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [_LOST]}}
    spec["podFailurePolicy"]["rules"].insert(0, lost)
    pod = spec["template"]["spec"]
    pod["subdomain"] = name
    # The names of a CronJob's Jobs are not known before.
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
        {"name": "KERAS_HOME", "value": "/var/lib/vitrine/training/keras-$(WORKER)"},  # two must not write one download
    ]
    only_them = {"podSelector": {"matchLabels": labels}}
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
                **only_them,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [only_them], "ports": ports}],
                "egress": [{"to": [only_them], "ports": ports}],
            },
        },
    ]


def _labels(label: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "vitrine",
        "app.kubernetes.io/name": "trainer",
        "app.kubernetes.io/instance": label,
    }


def _pod(program: Manifest, image: str, gpu: bool, store: str | None) -> Manifest:
    card = {"nvidia.com/gpu": 1} if gpu else {}
    container = {
        "name": "trainer",
        "image": image,
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi", **card},
            "limits": {"cpu": "4", "memory": "8Gi", **card},
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
            {"name": "training", "persistentVolumeClaim": {"claimName": "training"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if store is None:
        _mount(pod, {"name": "exports", "persistentVolumeClaim": {"claimName": "exports"}}, "/var/lib/vitrine/exports")
        container["env"].append({"name": "EXPORTS", "value": "/var/lib/vitrine/exports"})
    else:
        container["envFrom"] = [{"secretRef": {"name": store}}]
    if gpu:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        terms = [{"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]}]
        pod["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        }
    return pod


def _mount(pod: Manifest, volume: Manifest, path: str, **options: bool) -> None:
    pod["volumes"].append(volume)
    pod["containers"][0]["volumeMounts"].append({"name": volume["name"], "mountPath": path, **options})


def _sign(pod: Manifest, secret: str) -> None:
    # Readable for the group alone, which is fsGroup.
    volume = {"name": "signing", "secret": {"secretName": secret, "defaultMode": 0o440}}
    _mount(pod, volume, "/etc/vitrine/signing", readOnly=True)
    key = {"name": "VITRINE_SIGNING_KEY", "value": "/etc/vitrine/signing/signing.pem"}
    pod["containers"][0]["env"].append(key)


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
            # Data sets come by HTTPS, as exports go to an object store (MinIO's port is 9000); a shared sweep's study
            # lies in PostgreSQL.
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
