"""Dashboard and alerts use metrics that a gateway exports, and promtool tests the alerts."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.programs import REPOSITORY
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


def test_all_metrics_in_use_are_exported(tmp_path: Path) -> None:
    flags = ("--models=m", "--workers=2")
    with programs.gateway("127.0.0.1:1", tmp_path / "none", *flags, ready="workers serve") as gateway:
        page = gateway.http.get("/metrics").text
    exported = set()
    for family in text_string_to_metric_families(page):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        exported |= {family.name + ending for ending in endings}
    used = {name for expression in expressions() for name in re.findall(r"\bvitrine_\w+", expression)}
    assert len(used) > 12
    assert used <= exported


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
