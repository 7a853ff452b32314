"""Dashboard and alerts use metrics that exist, alerts link to their runbooks, and promtool tests the alerts."""

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from serving.artifacts.sync import SyncMetrics
from serving.gateway.observability.container_memory import ContainerMemory
from tests.k8s.test_manifests import kustomize
from tests.programs import REPOSITORY, free_port
from tests.serving.gateway import programs
from tests.system_packages import needs

FOLDER = REPOSITORY / "k8s/components/monitoring"


def expressions() -> list[str]:
    """List the PromQL expressions of the dashboard and the alerts."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    return queries + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


#: Metrics of other programs. Sources: docs/metrics of kube-state-metrics, all of them "stable", and the counters that
#: dcgm-exporter (etc/default-counters.csv, etc/dcp-metrics-included.csv) exports without a configuration.
FOREIGN = {
    "kube_job_failed",
    "kube_pod_container_status_restarts_total",
    "kube_pod_init_container_status_restarts_total",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
}


def test_all_metrics_in_use_are_exported(tmp_path: Path) -> None:
    flags = ("--models=m", "--workers=2")
    with programs.gateway("127.0.0.1:1", tmp_path / "none", *flags, ready="workers serve") as gateway:
        page = gateway.http.get("/metrics").text
    SyncMetrics(port := free_port())
    page += httpx.get(f"http://127.0.0.1:{port}/metrics").text
    limited = tmp_path / "group"  # this process may have no memory limit
    limited.mkdir()
    for name, text in {"memory.max": "2", "memory.current": "1", "memory.stat": ""}.items():
        (limited / name).write_text(text)
    exported = {metric.name for metric in ContainerMemory([limited]).collect()}
    for family in text_string_to_metric_families(page):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        exported |= {family.name + ending for ending in endings}
    names = re.compile(r"\b(?:vitrine|process|kube|DCGM)_\w+")
    used = {name for expression in expressions() for name in names.findall(expression)}
    assert len(used) > 20
    assert used <= exported | FOREIGN
    assert used >= FOREIGN


def alerts(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"]]


def test_each_alert_links_to_its_page_below_one_address() -> None:
    """``tests/docs/test_runbooks.py`` compares the names of alerts and pages."""
    rules = alerts(yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"])
    site = "https://vitrine.example/docs"
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"{site}/operations/runbooks/{rule['alert']}.html"
    assert site in (REPOSITORY / "docs/operations/index.md").read_text()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")
def test_the_snippet_of_the_handbook_sets_the_address_of_the_site(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/operations/index.md").read_text()
    (snippet,) = re.findall(r"^    configMapGenerator:\n(?:    .*\n)+", page, re.MULTILINE)
    shutil.copytree(REPOSITORY / "k8s", tmp_path / "k8s")
    overlay = tmp_path / "k8s/overlays/own"
    overlay.mkdir()
    head = "components: [../../components/prometheus-operator]\nresources: [../../base]\n"
    (overlay / "kustomization.yaml").write_text(head + textwrap.dedent(snippet))
    manifests = kustomize(overlay)
    assert not any(one["metadata"]["name"].startswith("documentation") for one in manifests)
    (rule,) = (one for one in manifests if one["kind"] == "PrometheusRule")
    urls = {one["annotations"]["runbook_url"] for one in alerts(rule["spec"]["groups"])}
    assert "https://docs.example.com/vitrine/operations/runbooks/VitrineDrift.html" in urls
    assert all(url.startswith("https://docs.example.com/vitrine/operations/runbooks/") for url in urls)


def test_panels_do_not_overlap() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    positions = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(positions)) == len({panel["id"] for panel in panels}) == len(panels)


@needs("prometheus")
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "k8s/components/monitoring/alerts.yaml"), ("test", "rules", "tests/k8s/alerts_test.yaml")],
)
def test_promtool(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("prometheus")
def test_promtool_accepts_the_metrics(tmp_path: Path) -> None:
    with programs.gateway("127.0.0.1:1", tmp_path / "none", "--models=m") as gateway:
        gateway.http.post("/v1/models/m:predict", content=b"")
        gateway.http.get("/livez")
        page = gateway.http.get("/metrics").content
    assert b"vitrine_refused_total" in page and b"vitrine_request_seconds_bucket" in page
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
