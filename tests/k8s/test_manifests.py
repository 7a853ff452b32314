"""Build all overlays and combinations of components.

The manifests must match the schemas of three Kubernetes versions and the project's own rules.
"""

import inspect
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from serving.artifacts import sync
from tests.k8s import crds, schemas_by_hand
from tests.programs import REPOSITORY

K8S = REPOSITORY / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
#: Components that patch another one and need it.
REQUIRES = {"mig": "gpu", "signed": "s3-exports"}
#: Components that take the place of another one.
INSTEAD = {"gateway-api": "ingress", "keda": "autoscaling"}
COMBINATIONS = [
    (),
    *((REQUIRES[name], name) if name in REQUIRES else (name,) for name in COMPONENTS),
    *itertools.combinations(
        ("autoscaling", "canary", "gpu", "ingress", "monitoring", "otel", "redis", "s3-exports"), 2
    ),
    ("gpu", "mig", "s3-exports", "signed", "autoscaling", "monitoring"),
    (*(name for name in COMPONENTS if name not in {*REQUIRES, *INSTEAD}), "signed"),
    (*(name for name in COMPONENTS if name not in {*REQUIRES, *INSTEAD.values()}), "signed"),
]
VERSIONS = ("1.32", "1.34", "1.36")
#: Kinds that only an administrator of the cluster may create.
CLUSTER = {"Namespace", "PriorityClass"}
RUNTIMES = {"gateway", "model-server", "redis"}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")

Manifest = dict[str, Any]


@cache
def kustomize(folder: Path) -> tuple[Manifest, ...]:
    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    assert "deprecated" not in built.stderr
    return tuple(yaml.load_all(built.stdout, yaml.CSafeLoader))


def validate(manifests: tuple[Manifest, ...], version: str) -> None:
    for manifest in manifests:
        if crds.is_known(manifest):
            crds.validate(manifest)
        elif schemas_by_hand.is_known(manifest):
            schemas_by_hand.validate(manifest)
        else:
            _validate(json.dumps(manifest), version)


@cache
def _validate(manifest: str, version: str) -> None:
    """Validate an object once: combinations share most, and the library parses a version's schemas each time."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)


def pods(manifests: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Yield the name and pod specification of each workload."""
    for manifest in manifests:
        match manifest["kind"]:
            case "Deployment" | "Job":
                yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
            case "CronJob":
                yield manifest["metadata"]["name"], manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(manifests: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    for name, pod in pods(manifests):
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            yield f"{name}/{container['name']}", container


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_valid(overlay: str, version: str) -> None:
    manifests = kustomize(K8S / "overlays" / overlay)
    validate(manifests, version)
    (namespace,) = {manifest["metadata"]["namespace"] for manifest in manifests if manifest["kind"] not in CLUSTER}
    assert namespace == ("team-vision" if overlay == "tenant" else "vitrine")


@pytest.mark.parametrize("components", COMBINATIONS, ids="+".join)
def test_combined_components_are_valid(components: tuple[str, ...], tmp_path: Path) -> None:
    manifests = built(components, tmp_path)
    validate(manifests, VERSIONS[0])
    check_rules(manifests)


def test_the_signed_component_gives_each_sidecar_the_key(tmp_path: Path) -> None:
    sidecars = {name: one for name, one in containers(built(("s3-exports", "signed"), tmp_path)) if "sync" in name}
    assert sidecars.keys() == {"gateway/sync", "model-server/sync"}
    for sidecar in sidecars.values():
        (key,) = sidecar["env"]
        assert key["name"] in inspect.getsource(sync.main)  # the variable that the program reads
        (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "verify-key"]
        assert key["value"] == f"{mount['mountPath']}/verify.pem"


def test_openshift_chooses_the_users(tmp_path: Path) -> None:
    with_users = dict(pods(built(("redis",), tmp_path / "with")))
    without = dict(pods(built(("redis", "openshift"), tmp_path / "without")))
    assert with_users.keys() == without.keys() == RUNTIMES
    for name, pod in without.items():
        assert with_users[name]["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"} | (
            {"fsGroupChangePolicy"} if name != "redis" else set()
        )


@pytest.mark.parametrize("components", [(), ("autoscaling",), ("keda",)], ids="+".join)
def test_an_autoscaler_rules_alone(components: tuple[str, ...], tmp_path: Path) -> None:
    """With ``replicas`` in the manifest, each `kubectl apply` would undo what the autoscaler has set."""
    manifests = built(components, tmp_path)
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in manifests if "scaleTargetRef" in one.get("spec", {})}
    deployments = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "Deployment"}
    assert bool(scaled) == bool(components) and scaled <= deployments.keys()
    for name, spec in deployments.items():
        assert ("replicas" in spec) == (name not in scaled)


def test_a_pod_that_is_not_ready_does_not_block_a_drain(tmp_path: Path) -> None:
    budgets = [one for one in built((), tmp_path) if one["kind"] == "PodDisruptionBudget"]
    assert {one["metadata"]["name"] for one in budgets} == {"gateway", "model-server"}
    assert {one["spec"]["unhealthyPodEvictionPolicy"] for one in budgets} == {"AlwaysAllow"}


def test_a_tenant_needs_no_rights_on_the_cluster() -> None:
    manifests = kustomize(K8S / "overlays/tenant")
    assert not CLUSTER & {manifest["kind"] for manifest in manifests}
    assert not any(crds.is_known(manifest) for manifest in manifests)
    assert not any("priorityClassName" in pod for _, pod in pods(manifests))
    assert all(one["image"].startswith("registry.example/") for _, one in containers(manifests))
    accounts = [one for one in manifests if one["kind"] == "ServiceAccount"]
    assert accounts and all(one["imagePullSecrets"] == [{"name": "registry"}] for one in accounts)
    (claim,) = [one for one in manifests if one["kind"] == "PersistentVolumeClaim"]
    assert claim["spec"]["storageClassName"] == "nfs"
    policies = {
        overlay: [
            (one["metadata"]["name"], one["spec"])
            for one in kustomize(K8S / "overlays" / overlay)
            if one["kind"] == "NetworkPolicy"
        ]
        for overlay in ("tenant", "cpu")
    }
    assert policies["tenant"] == policies["cpu"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_serving_preempts_nobody(overlay: str) -> None:
    manifests = kustomize(K8S / "overlays" / overlay)
    classes = {one["metadata"]["name"]: one for one in manifests if one["kind"] == "PriorityClass"}
    assert all(one["preemptionPolicy"] == "Never" for one in classes.values())
    for name, pod in pods(manifests):
        assert pod.get("priorityClassName") == ("vitrine-serving-nonpreempting" if classes else None), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_without_operators_accepts_the_overlay(overlay: str) -> None:
    groups = {one["apiVersion"].rpartition("/")[0] for one in kustomize(K8S / "overlays" / overlay)}
    assert groups <= {"", "apps", "autoscaling", "networking.k8s.io", "policy", "scheduling.k8s.io"}


def test_storage_limits_hold_the_volumes_on_disk(tmp_path: Path) -> None:
    """The kubelet evicts a pod whose logs and volumes exceed the sum of its limits."""
    for components in (("gpu",), ("s3-exports",), ("gpu", "s3-exports")):
        for name, pod in pods(built(components, tmp_path / "+".join(components))):
            on_disk = sum(
                binary_bytes(volume["emptyDir"]["sizeLimit"])
                for volume in pod.get("volumes", ())
                if "emptyDir" in volume and volume["emptyDir"].get("medium") != "Memory"
            )
            limits = [
                binary_bytes(one["resources"]["limits"]["ephemeral-storage"])
                for one in [*pod.get("initContainers", ()), *pod["containers"]]
                if one in pod["containers"] or one.get("restartPolicy") == "Always"
            ]
            assert sum(limits) > on_disk, name


def binary_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 2**20, "Gi": 2**30}[quantity[-2:]]


#: Fields that the API server never changes, by kind.
IMMUTABLE = {
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeMode", "selector"),
    "Deployment": ("selector",),
    "Service": ("clusterIP",),
    "PriorityClass": ("value", "preemptionPolicy"),
}


@pytest.mark.parametrize("before", OVERLAYS)
@pytest.mark.parametrize("after", OVERLAYS)
def test_an_overlay_can_replace_another(before: str, after: str) -> None:
    """An object that both have differs in no immutable field: `kubectl apply` of the second is not refused."""
    old, new = (
        {
            (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one
            for one in kustomize(K8S / "overlays" / each)
        }
        for each in (before, after)
    )
    for key in old.keys() & new.keys():
        for field in IMMUTABLE.get(key[0], ()):
            values = [one.get("spec", one).get(field) for one in (old[key], new[key])]
            assert values[0] == values[1], f"{key}: {field}"


@pytest.mark.parametrize("name", REQUIRES)
def test_a_component_does_not_build_without_the_one_it_requires(name: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="accumulating components"):
        built((name,), tmp_path)


def built(components: tuple[str, ...], tmp_path: Path) -> tuple[Manifest, ...]:
    """Build the base with these components."""
    # In a copy, because kustomize refuses absolute paths.
    shutil.copytree(K8S, tmp_path / "k8s")
    overlay = tmp_path / "k8s/overlays/of-the-test"
    overlay.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "vitrine",
        "resources": ["../../base"],
        "components": [f"../../components/{name}" for name in components],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return kustomize(overlay)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_keeps_the_rules(overlay: str) -> None:
    check_rules(kustomize(K8S / "overlays" / overlay))


def check_rules(manifests: tuple[Manifest, ...]) -> None:
    """Check the rules of the "restricted" pod security standard, and the project's own."""
    for name, pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"].get("runAsUser") != 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["serviceAccountName"] != "default", name
        assert not any("hostPath" in volume for volume in pod.get("volumes", ())), name
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes, name
    for name, container in containers(manifests):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        image, _, tag = container["image"].partition(":")
        assert tag and tag != "latest", f"{name}: {image} has no fixed tag"
        for part in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"][part].keys(), name
    for name, pod in pods(manifests):
        if name in RUNTIMES:
            for container in pod["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name
    check_references(manifests)
    check_only_the_gateway_reaches_port_8500(manifests)


def check_references(manifests: tuple[Manifest, ...]) -> None:
    """Check that references to volumes, accounts and settings resolve. Only Secrets come from the operator."""
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    for name, pod in pods(manifests):
        assert ("ServiceAccount", pod["serviceAccountName"]) in names, name
        if "priorityClassName" in pod:
            assert ("PriorityClass", pod["priorityClassName"]) in names, name
        for volume in pod.get("volumes", ()):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names, name
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names, name
    for name, container in containers(manifests):
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                assert ("ConfigMap", source["configMapRef"]["name"]) in names, name


def check_only_the_gateway_reaches_port_8500(manifests: tuple[Manifest, ...]) -> None:
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    denied = [policy["spec"] for policy in policies if policy["metadata"]["name"] == "deny-all"]
    assert denied == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    gateway = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}]
    reached = [
        (policy["spec"]["podSelector"], rule.get("from"))
        for policy in policies
        for rule in policy["spec"].get("ingress", ())
        if any(port["port"] in (8500, "grpc") for port in rule.get("ports", [{"port": 8500}]))
    ]
    assert reached == [({"matchLabels": {"app.kubernetes.io/name": "model-server"}}, gateway)]


def test_the_checks_detect_a_wrong_manifest() -> None:
    manifests = kustomize(K8S / "overlays/cpu")
    deployment = next(manifest for manifest in manifests if manifest["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(({**deployment, "spec": {**deployment["spec"], "replica": 2}},), VERSIONS[0])
    text = yaml.safe_dump_all(manifests).replace("runAsNonRoot: true", "runAsNonRoot: false")
    with pytest.raises(AssertionError):
        check_rules(tuple(yaml.safe_load_all(text)))


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "production"])
def test_arguments_and_grace_periods(overlay: str) -> None:
    """The arguments equal the Dockerfile's, and each grace period is longer than the shutdown."""
    found = dict(pods(kustomize(K8S / "overlays" / overlay)))
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for flag in found["model-server"]["containers"][0]["args"]:
        name = flag.split("=")[0]
        assert name in dockerfile or name in ("--enable_grpc_healthcheck_service", "--grpc_channel_arguments"), flag
    assert found["gateway"]["terminationGracePeriodSeconds"] >= 10 + 30
    sleep = found["model-server"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert found["model-server"]["terminationGracePeriodSeconds"] >= sleep + 30


def test_alerts_are_the_same_with_and_without_the_operator() -> None:
    rule = yaml.safe_load((K8S / "components/prometheus-operator/prometheus-rule.yaml").read_text())
    assert rule["spec"] == yaml.safe_load((K8S / "components/monitoring/alerts.yaml").read_text())


def test_the_checks_detect_a_wrong_monitor() -> None:
    text = (K8S / "components/prometheus-operator/monitors.yaml").read_text()
    for manifest in yaml.safe_load_all(text):
        crds.validate(manifest)
    for manifest in yaml.safe_load_all(text.replace("interval:", "intervall:")):
        with pytest.raises(jsonschema.ValidationError, match="intervall"):
            crds.validate(manifest)
