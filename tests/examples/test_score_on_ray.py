"""The RayJob of bulk scoring: its pods keep the rules of k8s/, and its command is one that `vitrine score` takes."""

import shlex
from pathlib import PurePath
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from serving.cli.score import score
from tests.k8s import schemas_by_hand
from tests.k8s.network import Endpoint, permits
from tests.k8s.test_manifests import K8S, kustomize
from tests.programs import REPOSITORY
from tests.test_lock_files import versions

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> tuple[Manifest, Manifest]:
    ray_job, policy = yaml.safe_load_all((REPOSITORY / "examples/kubernetes/score-on-ray.yaml").read_text())
    return ray_job, policy


@pytest.fixture(scope="module")
def pods(manifests: tuple[Manifest, Manifest]) -> dict[str, Manifest]:
    spec = manifests[0]["spec"]
    cluster = spec["rayClusterSpec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": spec["submitterPodTemplate"],
    }


def test_the_manifest_is_valid(manifests: tuple[Manifest, Manifest], pods: dict[str, Manifest]) -> None:
    schemas_by_hand.validate(manifests[0])
    kubernetes_validate.validate(manifests[1], "1.34", strict=True)
    for name, template in pods.items():  # the rules of the namespace, which enforces "restricted"
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
            assert container["image"] == "vitrine/ray-worker:0.1.0"


def test_the_cluster_has_the_version_of_the_image(manifests: tuple[Manifest, Manifest]) -> None:
    """KubeRay chooses its probes by this version, and refuses tokens below 2.52."""
    assert {manifests[0]["spec"]["rayClusterSpec"]["rayVersion"]} == versions("ray-worker")["ray"]
    assert "FROM ${PYTHON} AS ray-worker" in (REPOSITORY / "Dockerfile").read_text()


def test_the_command_reads_and_writes_what_the_workers_mount(
    manifests: tuple[Manifest, Manifest], pods: dict[str, Manifest]
) -> None:
    vitrine, command, *arguments = shlex.split(manifests[0]["spec"]["entrypoint"])
    assert (vitrine, command) == ("vitrine", score.__name__)
    parser = typer.Typer(add_completion=False)
    parser.command()(score)
    options = typer.main.get_command(parser).make_context(command, arguments).params
    assert options["on"] == "ray"
    for name in ("head", "worker"):
        mounts = {mount["mountPath"]: mount for mount in pods[name]["spec"]["containers"][0]["volumeMounts"]}
        for option in ("inputs", "out", "exports"):
            (mount,) = [mounts[path] for path in mounts if PurePath(options[option]).is_relative_to(path)]
            assert not (option == "out" and mount.get("readOnly"))


def test_nobody_but_ray_and_its_operator_reaches_the_pods(
    manifests: tuple[Manifest, Manifest], pods: dict[str, Manifest]
) -> None:
    """The job API of a Ray cluster runs any code that it is sent."""
    base = [one for one in kustomize(K8S / "overlays/cpu") if one["kind"] == "NetworkPolicy"]
    policies = [*base, manifests[1]]
    head, worker, submitter = (
        Endpoint(name, template["metadata"]["labels"], "vitrine") for name, template in pods.items()
    )
    operator = Endpoint("operator", {"app.kubernetes.io/name": "kuberay-operator"}, "kuberay")
    others = (
        Endpoint("gateway", {"app.kubernetes.io/name": "gateway"}, "vitrine"),
        Endpoint("trainer", {"app.kubernetes.io/name": "trainer"}, "vitrine"),
        Endpoint("stranger", {"app.kubernetes.io/name": "ray"}, "elsewhere"),
    )
    for source, target in ((worker, head), (head, worker), (submitter, head)):
        assert permits(policies, source, target, "TCP", 6379), (source.name, target.name)
    assert permits(policies, operator, head, "TCP", 8265)
    for other in others:
        for port in (6379, 8265, 10001):
            assert not permits(policies, other, head, "TCP", port), other.name
