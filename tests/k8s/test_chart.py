"""The packaged Helm chart renders the objects of the overlays: Helm's own engine, in a process of its own."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import serving
from tests.k8s.test_manifests import (
    CLUSTER,
    K8S,
    VERSIONS,
    Manifest,
    built,
    check_rules,
    containers,
    kustomize,
    pods,
    validate,
)
from tests.programs import REPOSITORY

CHART = REPOSITORY / "charts/vitrine"
VALUES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*.yaml"))}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")
pytest.importorskip("helm_python", reason="helm-python-sdk is needed, which has no package for this platform")

#: Reads {"name": {"values": …, "namespace": …}}; prints a list of objects, or an error, for each.
_PROGRAM = """
import json, pathlib, sys, tempfile
import helm_python as helm
answers = {}
with tempfile.TemporaryDirectory() as folder:
    helm.package(sys.argv[1], destination=folder)
    (archive,) = pathlib.Path(folder).glob("*.tgz")
    chart = helm.Chart.load(archive)
with chart:
    for name, case in json.load(sys.stdin).items():
        try:
            chart.validate_schema(case["values"])
            answers[name] = chart.render(case["values"], name="vitrine", namespace=case["namespace"])
        except helm.HelmError as error:
            answers[name] = str(error)
report = helm.lint(sys.argv[1], strict=True)
json.dump({"lint": report, "answers": answers}, sys.stdout)
"""


def helm(cases: dict[str, tuple[Manifest, str]]) -> Any:
    text = json.dumps({name: {"values": values, "namespace": space} for name, (values, space) in cases.items()})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, CHART], input=text, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


#: Values that no overlay has.
OTHER: Manifest = {
    "gateway": {
        "settings": {"VITRINE_MAX_BODY_BYTES": 67108864, "VITRINE_RATE": "5/second", "VITRINE_ACCESS_LOG": 0.5},
        "nodeSelector": {"pool": "web"},
    },
    "modelServer": {
        "image": "embedded-server",
        "nodeSelector": {"kubernetes.io/arch": None},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    },
    "image": {"registry": "registry.example/team", "tag": "1.2.3"},
    "imagePullSecrets": ["registry"],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/exports"}},
    "exports": {"store": {"secret": "store"}},  # pragma: allowlist secret
    "rateLimits": {"enabled": True},
    "ingress": {
        "enabled": True,
        "issuer": "",
        "annotations": {"alb.ingress.kubernetes.io/target-type": "ip"},
        "className": "alb",
        "from": "",
    },
    "gatewayApi": {"enabled": True, "from": "istio-ingress"},
    "monitoring": {
        "enabled": True,
        "operator": True,
        "namespace": "observability",
        "documentation": "https://docs.example.com/vitrine",
    },
}  #: The values that docs/how-to/clusters.md shows, by section.
PAGE: dict[str, Manifest] = {
    section.partition("\n")[0]: yaml.safe_load(textwrap.dedent(block.group()))
    for section in (REPOSITORY / "docs/how-to/clusters.md").read_text().split("\n## ")
    if (block := re.search(r"^    (?!patches|  ).*(?:\n    .*)*", section, re.MULTILINE))
}
#: Wrong values, and what the error names.
WRONG: dict[str, tuple[Manifest, str]] = {
    "unknown": ({"gateway": {"replica": 3}}, "replica"),
    "autoscaler": ({"autoscaling": {"enabled": True, "engine": "vpa"}}, "engine"),
    "access mode": ({"exports": {"claim": {"accessMode": "ReadWriteSometimes"}}}, "accessMode"),
    "setting": ({"gateway": {"settings": {"RATE": "1"}}}, "RATE"),
    "no boolean": ({"ingress": {"enabled": "yes"}}, "enabled"),
    "no replicas": ({"gateway": {"replicas": 0}}, "replicas"),
    "routing": ({"routing": {"fashion_cnn": "stable"}}, "routing"),
}


@cache
def rendered() -> Any:
    """Render all values in one process."""
    cases = {name: (values, "team-vision" if name == "tenant" else "vitrine") for name, values in VALUES.items()}
    changed = {**OTHER, "gateway": {**OTHER["gateway"], "settings": {}}}
    return helm(
        {
            **cases,
            "other": (OTHER, "shop"),
            **{name: (values, "vitrine") for name, values in PAGE.items()},
            "other, changed": (changed, "shop"),
            **{name: (values, "vitrine") for name, (values, _) in WRONG.items()},
        }
    )


def objects(name: str) -> tuple[Manifest, ...]:
    texts = rendered()["answers"][name]
    assert isinstance(texts, dict), texts
    return tuple(
        one
        for file, text in texts.items()
        if file.endswith(".yaml")
        for one in yaml.load_all(text, yaml.CSafeLoader)
        if one
    )


#: What the chart adds to metadata; kustomize labels the objects of the base alone.
IGNORED = {
    "labels": {"app.kubernetes.io/part-of"},
    "annotations": {"checksum/settings", "helm.sh/resource-policy"},
}


def comparable(manifests: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Leave out what differs on purpose.

    An administrator creates namespace and classes of a Helm release, and the names of kustomize's ConfigMaps end with
    a hash.
    """
    text = re.sub(
        r"\b((?:gateway|model-server)-config|grafana-dashboard)-[a-z0-9]{10}\b", r"\1", json.dumps(list(manifests))
    )
    found = {}
    for one in json.loads(text):
        if one["kind"] in CLUSTER:
            continue
        template = one["spec"].get("template", {}) if one["kind"] == "Deployment" else {}
        for metadata in (one["metadata"], template.get("metadata", {})):
            for part, keys in IGNORED.items():
                metadata[part] = {key: value for key, value in metadata.get(part, {}).items() if key not in keys}
        if "routing.json" in one.get("data", ()):
            one["data"]["routing.json"] = json.loads(one["data"]["routing.json"])
        found[one["kind"], one["metadata"]["name"]] = one
    return found


def test_helm_finds_no_fault() -> None:
    lint = rendered()["lint"]
    assert lint["errors"] == []
    assert {one["error"] for one in lint["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "production", "tenant"])
def test_the_chart_equals_the_overlay(overlay: str) -> None:
    chart, overlays = comparable(objects(overlay)), comparable(kustomize(K8S / "overlays" / overlay))
    assert chart.keys() == overlays.keys()
    for key, manifest in overlays.items():
        assert chart[key] == manifest


@pytest.mark.parametrize(
    ("name", "components"),
    [
        ("keda", ("gpu", "mig/1g.10gb", "gateway-api", "keda", "monitoring", "prometheus-operator")),
        ("openshift", ("s3-exports", "signed", "oip-grpc", "canary", "openshift")),
    ],
)
def test_the_chart_equals_the_components_that_no_overlay_has(
    name: str, components: tuple[str, ...], tmp_path: Path
) -> None:
    chart, built_ones = comparable(objects(name)), comparable(built(components, tmp_path))
    assert chart.keys() == built_ones.keys()
    for key, manifest in built_ones.items():
        assert chart[key] == manifest


@pytest.mark.parametrize("name", VALUES)
def test_the_objects_are_valid_and_keep_the_rules(name: str) -> None:
    manifests = objects(name)
    validate(manifests, VERSIONS[-1])
    check_rules(tuple(one for one in manifests if not _names_class_of_cluster(one)))


def _names_class_of_cluster(manifest: Manifest) -> bool:
    return any("priorityClassName" in pod for _, pod in pods((manifest,)))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused(name: str) -> None:
    answer = rendered()["answers"][name]
    assert isinstance(answer, str) and WRONG[name][1] in answer


def test_values_that_no_overlay_has() -> None:
    manifests = objects("other")
    validate(manifests, VERSIONS[-1])
    check_rules(manifests)
    found = {(one["kind"], one["metadata"]["name"]): one for one in manifests}
    settings = found["ConfigMap", "gateway-config"]["data"]
    assert settings["VITRINE_MAX_BODY_BYTES"] == "67108864"  # Helm reads it as a float
    assert settings["VITRINE_ACCESS_LOG"] == "0.5"
    assert settings["VITRINE_RATE"] == "5/second"  # instead of the component's
    assert not any("env" in one for name, one in containers(manifests) if name == "gateway/gateway")
    specs = dict(pods(manifests))
    assert specs["gateway"]["nodeSelector"] == {"pool": "web"}
    assert "nodeSelector" not in specs["model-server"]
    assert specs["model-server"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    ingress = found["Ingress", "gateway"]["metadata"]["annotations"]
    assert "cert-manager.io/cluster-issuer" not in ingress
    assert ingress["alb.ingress.kubernetes.io/target-type"] == "ip"
    callers = {
        name: [
            source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for source in rule.get("from", ())
        ]
        for (kind, name), one in found.items()
        for rule in one.get("spec", {}).get("ingress", ())
        if kind == "NetworkPolicy" and name.startswith(("gateway-from", "gateway-metrics", "sync"))
    }
    assert callers == {
        "gateway-from-ingress": [],  # any address
        "gateway-from-gateway-api": ["istio-ingress"],
        "gateway-metrics": ["observability"],
        "sync-metrics": ["observability"],
    }
    alerts = json.dumps(found["PrometheusRule", "vitrine"])
    assert "vitrine.*" not in alerts and 'namespace=~\\"shop\\"' in alerts
    assert alerts.count("https://docs.example.com/vitrine/operations/runbooks/") == alerts.count("runbook_url")
    for name in ("gateway", "model-server"):
        annotations = found["ServiceAccount", name]["metadata"]["annotations"]
        assert annotations == OTHER["serviceAccount"]["annotations"]


@pytest.mark.parametrize("cluster", ["GKE", "EKS", "OpenShift"])
def test_the_values_of_the_page_on_clusters(cluster: str) -> None:
    assert PAGE.keys() == {"GKE", "EKS", "OpenShift"}
    validate(objects(cluster), VERSIONS[-1])
    check_rules(objects(cluster))


def test_a_changed_setting_replaces_the_gateways_alone() -> None:
    before, after = (
        {one["metadata"]["name"]: one["spec"]["template"] for one in objects(name) if one["kind"] == "Deployment"}
        for name in ("other", "other, changed")
    )
    assert {name for name in before if before[name] != after[name]} == {"gateway"}


def test_the_notes_name_a_job_that_suits_the_values() -> None:
    (notes,) = (text for file, text in rendered()["answers"]["other"].items() if file.endswith("NOTES.txt"))
    (line,) = re.findall(r"vitrine (k8s job .*) \| kubectl apply -f -", notes)
    command = [sys.executable, "-m", "serving.cli.main", *shlex.split(line)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = {one["kind"]: one for one in yaml.safe_load_all(printed)}
    assert found["Job"]["metadata"]["namespace"] == "shop"
    pod = found["Job"]["spec"]["template"]["spec"]
    assert {one["image"] for one in pod["containers"]} == {"registry.example/team/trainer:1.2.3"}
    assert "registry" in json.dumps(found["ServiceAccount"]) + json.dumps(pod.get("imagePullSecrets"))
    assert "priorityClassName" not in pod


def test_every_value_is_described_and_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    readme = (CHART / "README.md").read_text()

    def paths(values: Manifest, properties: Manifest, prefix: str = "") -> None:
        assert values.keys() == properties.keys(), prefix
        for name, value in values.items():
            if f"`{prefix}{name}`" not in readme and isinstance(value, dict):
                paths(value, properties[name]["properties"], f"{prefix}{name}.")
            else:
                assert f"`{prefix}{name}`" in readme, f"{prefix}{name}"

    paths(yaml.safe_load((CHART / "values.yaml").read_text()), schema["properties"])


def test_the_versions_are_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == serving.__version__
