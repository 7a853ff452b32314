"""The network policies of each overlay allow the connections that are listed here, and no other, in both directions."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.k8s import network
from tests.k8s.network import Endpoint
from tests.k8s.test_manifests import K8S, OVERLAYS, Manifest, built, kustomize

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")

_CLIENT = {"vitrine-client": "true"}
#: Pods that somebody adds to the namespace, and their labels.
ADDED = {"client": _CLIENT, "stranger": {}}
#: Pods of other namespaces, and addresses.
OTHERS = (
    Endpoint("pod of a client namespace", {}, "shop", _CLIENT),
    Endpoint("pod of another namespace", _CLIENT, "other"),  # a pod's own label counts in the gateway's namespace only
    Endpoint("ingress controller", {}, "ingress-nginx"),
    Endpoint("Envoy Gateway", {}, "envoy-gateway-system"),
    Endpoint("prometheus", {}, "monitoring"),
    Endpoint("collector", {}, "observability"),
    Endpoint("cluster DNS", {"k8s-app": "kube-dns"}, "kube-system"),
    Endpoint("OpenShift DNS", {}, "openshift-dns"),
    Endpoint("node-local DNS", address="169.254.20.10"),
    Endpoint("metadata service", address="169.254.169.254"),
    Endpoint("internet", address="203.0.113.7"),
)
PORTS = [("UDP", 53), ("UDP", 5353)] + [
    ("TCP", port) for port in (22, 53, 80, 443, 2222, 4317, 5353, 5432, 6379, 8000, 8001, 8002, 8500, 8501, 8502, 9000)
]
DNS = {
    "cluster DNS": ("UDP/53", "TCP/53"),
    "node-local DNS": ("UDP/53", "TCP/53"),
    "metadata service": ("UDP/53", "TCP/53"),  # Cloud DNS of GKE
    "OpenShift DNS": ("UDP/5353", "TCP/5353"),
}

Expected = set[tuple[str, str, str]]


def to_gateway(*callers: str) -> Expected:
    return {(caller, "gateway", "TCP/8000") for caller in callers}


#: Connections besides name resolution, which every pod of the namespace may use.
BASE = to_gateway("client", "pod of a client namespace") | {("gateway", "model-server", "TCP/8500")}
INGRESS = to_gateway("ingress controller")
PRODUCTION = {
    ("gateway", "redis", "TCP/6379"),
    ("gateway", "collector", "TCP/4317"),
    ("prometheus", "gateway", "TCP/8000"),
    ("prometheus", "model-server", "TCP/8501"),
    ("prometheus", "gateway", "TCP/8002"),
    ("prometheus", "model-server", "TCP/8002"),
}
#: The sidecars that copy from an object store, whose address is unknown.
STORE = {"gateway", "model-server"}
EXPECTED = {
    "laptop": BASE,
    "cpu": BASE | INGRESS,
    "gpu": BASE | INGRESS,
    "tenant": BASE | INGRESS,
    "production": BASE | INGRESS | PRODUCTION,
}


def endpoints(manifests: Iterable[Manifest]) -> list[Endpoint]:
    """List the pods of the workloads."""
    found = []
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            template = manifest["spec"]["template"]
            containers = template["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for one in containers for port in one.get("ports", ())}
            name = manifest["metadata"]["name"]
            found.append(Endpoint(name, template["metadata"]["labels"], manifest["metadata"]["namespace"], ports=ports))
    return found


def connections(manifests: Iterable[Manifest], added: Mapping[str, Mapping[str, str]] = ADDED) -> Expected:
    """Compute the connections of which one end is a pod of the namespace; outsiders rule themselves."""
    manifests = list(manifests)
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    (namespace,) = {policy["metadata"]["namespace"] for policy in policies}
    ends = [*endpoints(manifests), *(Endpoint(name, labels, namespace) for name, labels in added.items()), *OTHERS]
    inside = {end.name for end in ends if end.namespace == namespace}
    return {found for found in network.allowed(policies, ends, PORTS) if not inside.isdisjoint((found[0], found[1]))}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_allows_exactly_these_connections(overlay: str) -> None:
    manifests = kustomize(K8S / "overlays" / overlay)
    inside = {end.name for end in endpoints(manifests)} | ADDED.keys()
    expected = EXPECTED[overlay] | {
        (pod, server, port) for pod in inside for server, ports in DNS.items() for port in ports
    }
    if overlay == "production":
        outside = {end.name for end in OTHERS}
        expected |= {(pod, end, port) for pod in STORE for end in outside for port in ("TCP/443", "TCP/9000")}
    assert connections(manifests) == expected


def test_the_gateway_api_reaches_the_gateways_http_port_alone(tmp_path: Path) -> None:
    assert connections(built(("gateway-api",), tmp_path / "with")) - connections(built((), tmp_path / "without")) == {
        ("Envoy Gateway", "gateway", "TCP/8000")
    }


def test_the_grpc_port_has_the_callers_of_the_http_port(tmp_path: Path) -> None:
    found = {one for one in connections(built(("oip-grpc",), tmp_path)) if one[2] == "TCP/8001"}
    assert found == {(caller, "gateway", "TCP/8001") for caller in ("client", "pod of a client namespace")}


def test_training_pods_reach_stores_and_each_other_and_nobody_else_reaches_them() -> None:
    command = [sys.executable, "-m", "serving.cli.main", "k8s", "job", "cifar100_deep", "--workers", "2"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    jobs = list(yaml.load_all(printed, yaml.CSafeLoader))
    (labels,) = (job["spec"]["template"]["metadata"]["labels"] for job in jobs if job["kind"] == "Job")
    found = connections([*kustomize(K8S / "overlays/cpu"), *jobs], {"one": labels, "other": labels, **ADDED})
    sent = {(target, port) for source, target, port in found if source == "one"}
    assert sent == {
        ("other", "TCP/2222"),
        *((server, port) for server, ports in DNS.items() for port in ports),
        *((end.name, f"TCP/{port}") for end in OTHERS for port in (443, 9000, 5432)),
    }
    assert {source for source, target, _ in found if target == "one"} == {"other"}


def test_a_missing_rule_of_either_side_closes_a_connection() -> None:
    manifests = kustomize(K8S / "overlays/cpu")
    wanted = ("client", "gateway", "TCP/8000")
    assert wanted in connections(manifests)
    for policy in ("gateway", "clients"):  # the gateway's ingress, the caller's egress
        rest = [one for one in manifests if (one["kind"], one["metadata"]["name"]) != ("NetworkPolicy", policy)]
        assert wanted not in connections(rest)


def test_the_evaluator_knows_blocks_ranges_names_and_expressions() -> None:
    policy = {
        "metadata": {"namespace": "a"},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["free"]}]},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                    "ports": [{"port": 100, "endPort": 102}],
                },
                {
                    "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}],
                    "ports": [{"port": "sql"}],
                },
            ],
        },
    }
    pod, free = Endpoint("pod", {"app": "web"}, "a"), Endpoint("free", {"app": "free"}, "a")
    inside, outside = Endpoint("inside", address="10.2.3.4"), Endpoint("outside", address="10.1.3.4")
    database = Endpoint("database", {"app": "db"}, "b", ports={"sql": 5432})

    def reaches(source: Endpoint, target: Endpoint, port: int) -> bool:
        return network.permits([policy], source, target, "TCP", port)

    assert reaches(pod, inside, 101) and not reaches(pod, inside, 103) and not reaches(pod, outside, 101)
    assert reaches(pod, database, 5432) and not reaches(pod, database, 5433)
    assert reaches(free, outside, 22)  # no policy selects it
