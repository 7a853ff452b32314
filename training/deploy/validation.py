"""Checks of values that Kubernetes would refuse, or with which no pod would ever start."""

import re
from pathlib import PurePath

from training.core.errors import JobError
from training.deploy.pod import TRAINING

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?", re.ASCII)
#: Less is a forgotten unit.
_LEAST_MEMORY = 256 * 2**20
_FACTORS = (
    {"": 1.0, "m": 1e-3}
    | {prefix: 1e3**power for power, prefix in enumerate("kMGTPE", 1)}
    | {f"{prefix}i": 2.0 ** (10 * power) for power, prefix in enumerate("KMGTPE", 1)}
)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_NAME = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_RESOURCE = re.compile(rf"{_DNS_NAME.pattern}/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
#: NVIDIA's profiles: slices of the card, memory, and media extensions. The resource is nvidia.com/mig-PROFILE.
_MIG_PROFILE = re.compile(r"[1-7]g\.\d+gb(\.me(\.all)?)?", re.ASCII)
#: Letters of a Job's name: a pod's host name has -INDEX after it, at most 63 in all.
LONGEST_JOB_NAME = 58
#: Letters of a CronJob's name: Kubernetes appends 11 for each Job.
LONGEST_CRON_JOB_NAME = 52


def quantity(text: str) -> float | None:
    """Return the value of a Kubernetes quantity such as 500m or 8Gi; None if it is none."""
    match = _QUANTITY.fullmatch(text)
    return float(match[1]) * _FACTORS[match[2] or ""] if match else None


def check_cpu(cpu: str) -> None:
    """Raise JobError if this is no number of processors."""
    value = quantity(cpu)
    if value is None or not 0.001 <= value <= 4096:
        raise JobError(f"--cpu is {cpu!r}; processors are expected, such as 4 or 500m")


def check_memory(memory: str) -> None:
    """Raise JobError if this is no amount of memory in which a training could start."""
    value = quantity(memory)
    if value is None or memory.endswith("m") or value < _LEAST_MEMORY:
        raise JobError(f"--memory is {memory!r}; at least 256Mi with a unit is expected, such as 8Gi")


def check_gpu_resource(resource: str) -> None:
    """Raise JobError if this is no name of an extended resource."""
    if not _RESOURCE.fullmatch(resource):
        raise JobError(f"--gpu-resource is {resource!r}; a device plugin's resource is expected, such as amd.com/gpu")


def check_mig(profile: str) -> None:
    """Raise JobError if this is no MIG profile."""
    if not _MIG_PROFILE.fullmatch(profile):
        raise JobError(
            f"--mig is {profile!r}; a profile of the card is expected, such as 1g.5gb (A100 40 GB) or 1g.10gb (H100). "
            "nvidia-smi mig -lgip lists them"
        )


def check_object_name(option: str, name: str) -> None:
    """Raise JobError if Kubernetes allows no object of this name."""
    if len(name) > 253 or not _DNS_NAME.fullmatch(name):
        raise JobError(f"{option} is {name!r}; lower-case letters, digits, - and . are expected")


def check_job_name(name: str, longest: int) -> None:
    """Raise JobError if the name of a Job or CronJob is invalid or too long."""
    if not _DNS_LABEL.fullmatch(name) or len(name) > longest:
        raise JobError(
            f"the Job's name would be {name}; lower-case letters, digits and -, at most {longest}, are expected. "
            "Give another --run or --as"
        )


def check_path_in_pod(option: str, path: PurePath) -> None:
    """Raise JobError if the path is not on the claim that the pods mount."""
    if ".." in path.parts or PurePath(TRAINING) not in path.parents:
        raise JobError(
            f"{option} is {path}, which the pods do not have; a path on the claim training is expected, such as "
            f"{TRAINING}/{path.name or 'data'}. docs/how-to/train-on-a-cluster.md says how to copy files to it"
        )
