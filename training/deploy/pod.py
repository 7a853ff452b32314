"""The trainer's pods: containers, resources and volumes."""

from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

#: Where a pod mounts the claims.
TRAINING, EXPORTS = "/var/lib/vitrine/training", "/var/lib/vitrine/exports"

#: Resources of a container without ``--cpu`` and ``--memory``: requested, and at most.
_CPU, _MEMORY = ("1", "4"), ("2Gi", "8Gi")
#: Logs, and /tmp: plots, and before the upload to an object store the exported version.
_EPHEMERAL_STORAGE = ("1Gi", "4Gi")


@dataclass(frozen=True)
class Trainer:
    """The trainer's pods.

    Attributes:
        image: image with a fixed tag.
        gpu: extended resource of which a pod requests one, such as ``nvidia.com/gpu``.
        cpu: processors of a pod, requested and at most; None for 1 and at most 4.
        memory: memory of a pod, requested and at most; None for 2 and at most 8 GiB.
        store: Secret of the component s3-exports with the address ``EXPORTS``; None for the claim.
        signing: Secret whose ``signing.pem`` signs the version.
        namespace: namespace of k8s/.
        queue: Kueue's LocalQueue, which starts the Job; None without Kueue.
        priority_class: PriorityClass of the pods; None for the cluster's default.
        pull_secret: Secret of the image's registry.
        storage_class: class of the claim ``training``; None for the cluster's default.
        access_mode: of the claims; several pods need ReadWriteMany. With ReadWriteOnce they are ``training-rwo`` and
            ``exports-rwo``, as in the overlay laptop, because the mode of a claim cannot be changed.
    """

    image: str
    gpu: str | None = None
    cpu: str | None = None
    memory: str | None = None
    store: str | None = None
    signing: str | None = None
    namespace: str = "vitrine"
    queue: str | None = None
    priority_class: str | None = "vitrine-training"
    pull_secret: str | None = None
    storage_class: str | None = None
    access_mode: str = "ReadWriteMany"

    def claim(self, name: str) -> str:
        """Return the name of the claim ``training`` or ``exports``."""
        return f"{name}-rwo" if self.access_mode == "ReadWriteOnce" else name


def pod(program: Manifest, trainer: Trainer) -> Manifest:
    """Return the specification of a pod whose container runs ``program``: its command, args, env and ports."""
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": "trainer",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **({"priorityClassName": trainer.priority_class} if trainer.priority_class else {}),
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
            {"name": "training", "persistentVolumeClaim": {"claimName": trainer.claim("training")}},
            {"name": "tmp", "emptyDir": {"sizeLimit": _EPHEMERAL_STORAGE[1]}},
        ],
    }
    container = spec["containers"][0]
    if trainer.store is None:
        _mount(spec, {"name": "exports", "persistentVolumeClaim": {"claimName": trainer.claim("exports")}}, EXPORTS)
        container["env"].append({"name": "EXPORTS", "value": EXPORTS})
    else:
        container["envFrom"] = [{"secretRef": {"name": trainer.store}}]
    if trainer.gpu:
        # Nodes with MIG slices have the taint of whole cards. TensorFlow has CUDA for amd64 alone.
        taint = "nvidia.com/gpu" if trainer.gpu.startswith("nvidia.com/") else trainer.gpu
        spec["tolerations"] = [{"key": taint, "operator": "Exists", "effect": "NoSchedule"}]
        spec["nodeSelector"] = {"kubernetes.io/arch": "amd64"}
    if trainer.signing is not None:
        # Readable by the group only, which is fsGroup.
        volume = {"name": "signing", "secret": {"secretName": trainer.signing, "defaultMode": 0o440}}
        _mount(spec, volume, "/etc/vitrine/signing", readOnly=True)
        container["env"].append({"name": "VITRINE_SIGNING_KEY", "value": "/etc/vitrine/signing/signing.pem"})
    return spec


def _container(program: Manifest, trainer: Trainer) -> Manifest:
    cpu = (trainer.cpu, trainer.cpu) if trainer.cpu else _CPU
    memory = (trainer.memory, trainer.memory) if trainer.memory else _MEMORY
    gpu = {trainer.gpu: 1} if trainer.gpu else {}
    # A queue of Kueue never starts a Job with a resource that it does not count; few count this one.
    storage = _EPHEMERAL_STORAGE if trainer.queue is None else None
    requests, limits = (
        {
            "cpu": cpu[bound],
            "memory": memory[bound],
            **({"ephemeral-storage": storage[bound]} if storage else {}),
            **gpu,
        }
        for bound in (0, 1)
    )
    return {
        "name": "trainer",
        "image": trainer.image,
        "resources": {"requests": requests, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **program,
        "env": [
            {"name": "KERAS_HOME", "value": f"{TRAINING}/keras"},
            # TensorFlow would start one thread for each processor of the node, and the kernel would throttle them.
            {"name": "TF_NUM_INTRAOP_THREADS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            *program.get("env", ()),
        ],
        "volumeMounts": [
            {"name": "training", "mountPath": TRAINING},
            {"name": "tmp", "mountPath": "/tmp"},  # nosec B108 # an emptyDir of the pod
        ],
    }


def _mount(spec: Manifest, volume: Manifest, path: str, **options: bool) -> None:
    spec["volumes"].append(volume)
    spec["containers"][0]["volumeMounts"].append({"name": volume["name"], "mountPath": path, **options})
