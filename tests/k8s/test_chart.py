"""The packaged Helm chart renders the objects of the overlays: Helm's own engine, in a process of its own."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import serving
from tests.k8s.test_manifests import CLUSTER, K8S, VERSIONS, Manifest, built, check_rules, kustomize, pods, validate
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


@cache
def rendered() -> Any:
    return helm({name: (values, "team-vision" if name == "tenant" else "vitrine") for name, values in VALUES.items()})


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


def test_the_chart_equals_the_components_that_no_overlay_has(tmp_path: Path) -> None:
    components = ("gpu", "mig/1g.10gb", "gateway-api", "keda", "monitoring", "prometheus-operator")
    chart, built_ones = comparable(objects("keda")), comparable(built(components, tmp_path))
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gateway": {"replica": 3}}, "replica"),
        ({"autoscaling": {"enabled": True, "engine": "vpa"}}, "engine"),
        ({"exports": {"claim": {"accessMode": "ReadWriteSometimes"}}}, "accessMode"),
        ({"gateway": {"settings": {"RATE": "1"}}}, "RATE"),
        ({"ingress": {"enabled": "yes"}}, "enabled"),
        ({"gateway": {"replicas": 0}}, "replicas"),
    ],
)
def test_a_wrong_value_is_refused(values: Manifest, message: str) -> None:
    answer = helm({"wrong": (values, "vitrine")})["answers"]["wrong"]
    assert isinstance(answer, str) and message in answer


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
