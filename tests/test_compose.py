"""compose.yaml matches the Compose specification, the files it names and the Dockerfile."""

import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import REPOSITORY
from tests.system_packages import needs

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@needs("docker-compose")
@pytest.mark.parametrize("profile", ["cpu", "gpu", "embedded", "train"])
def test_compose_matches_the_specification(profile: str, tmp_path: Path) -> None:
    """Debian's docker-compose has an older specification, without `name` and `depends_on.required`."""
    compose = deepcopy(COMPOSE)
    del compose["name"]
    started = {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}
    for service in compose["services"].values():
        waits = service.get("depends_on", {})
        for name, how in list(waits.items()):
            if not how.pop("required", True) and name not in started:
                del waits[name]
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(compose))
    done = subprocess.run(
        ["docker-compose", "--project-directory", REPOSITORY, "-f", tmp_path / "compose.yaml", "--profile", profile,
         "config", "--services"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert started <= set(done.stdout.split())


def test_each_profile_has_one_model_server() -> None:
    servers = {name: s["profiles"] for name, s in SERVICES.items() if "x-model-server" in s or "server" in name}
    assert servers == {"model-server": ["cpu"], "model-server-gpu": ["gpu"], "embedded-server": ["embedded"]}
    assert (REPOSITORY / ".env").read_text().splitlines()[-1] == "COMPOSE_PROFILES=cpu"


@pytest.mark.parametrize("name", SERVICES)
def test_service(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    tag = service["image"].partition(":")[2]
    assert tag and tag != "latest"
    if "build" in service:
        assert re.search(rf"^FROM \S+ AS {service['build']['target']}$", (REPOSITORY / "Dockerfile").read_text(), re.M)
        assert service["read_only"] is True
    for volume in service["volumes"]:
        source = re.sub(r"\$\{VITRINE_EXPORTS:-(.*?)\}", r"\1", volume).split(":")[0]
        if name == "trainer" and source.startswith("."):
            assert source == "./.vitrine/exports", "training changes no tracked file"
        elif source.startswith("."):
            assert (REPOSITORY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "the gateway has no keys here, so its port must be local"


@needs("prometheus")
def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    text = (REPOSITORY / "monitoring/prometheus.yml").read_text()
    alerts = REPOSITORY / "k8s/components/monitoring/alerts.yaml"
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/alerts.yaml", str(alerts)))
    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
