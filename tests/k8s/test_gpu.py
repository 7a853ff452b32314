"""GPU pods need no labels of nodes, MIG profiles fit their names, and the liveness probe asks the sidecar."""

import re
import shutil
from pathlib import Path

import httpx
import pytest

from serving.artifacts import models_config
from serving.artifacts.models_config import ModelConfig
from tests.k8s.test_manifests import K8S, OVERLAYS, built, kustomize, pods
from tests.programs import REPOSITORY, free_port, running

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")

PROFILES = sorted(folder.name for folder in (K8S / "components/mig").iterdir() if folder.is_dir())


def test_a_gpu_pod_selects_its_node_by_resource_and_tolerations() -> None:
    pod = dict(pods(kustomize(K8S / "overlays/gpu")))["model-server"]
    assert "affinity" not in pod and pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in pod["tolerations"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_tensorflow_serving_runs_on_amd64_only(overlay: str) -> None:
    pod = dict(pods(kustomize(K8S / "overlays" / overlay)))["model-server"]
    is_embedded = "vitrine/server:" in pod["containers"][0]["image"]
    assert (pod.get("nodeSelector") == {"kubernetes.io/arch": "amd64"}) != is_embedded


@pytest.mark.parametrize("profile", PROFILES)
def test_each_mig_component_requests_the_profile_of_its_name(profile: str, tmp_path: Path) -> None:
    resources = dict(pods(built(("gpu", f"mig/{profile}"), tmp_path)))["model-server"]["containers"][0]["resources"]
    for part in ("requests", "limits"):
        assert {name for name in resources[part] if "/" in name} == {f"nvidia.com/mig-{profile}"}


def test_the_page_lists_each_profile() -> None:
    page = (REPOSITORY / "docs/how-to/gpu.md").read_text()
    assert sorted(set(re.findall(r"^\| .*`mig/(\S+)`", page, re.MULTILINE))) == sorted(PROFILES)


def test_an_unknown_profile_does_not_build(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"1g\.7gb"):
        built(("gpu", "mig/1g.7gb"), tmp_path)


def test_the_liveness_probe_reaches_the_program_of_the_sidecar(tmp_path: Path) -> None:
    pod = dict(pods(kustomize(K8S / "overlays/gpu")))["model-server"]
    probe = pod["containers"][0]["livenessProbe"]
    (sidecar,) = (one for one in pod["initContainers"] if one["name"] == "liveness")
    assert sidecar["restartPolicy"] == "Always" and probe.keys() & {"grpc", "exec"} == set()
    arguments = dict(argument.split("=") for argument in sidecar["args"])
    assert arguments["--port"] == str(probe["httpGet"]["port"])
    assert arguments["--model-server"] == "127.0.0.1:8500"
    config = tmp_path / "models.config"
    config.write_text(models_config.render({"m": ModelConfig("m", "/models/m")}))
    port, model_server = free_port(), free_port()
    arguments |= {"--port": str(port), "--model-server": f"127.0.0.1:{model_server}", "--models-config": str(config)}
    python, *command = sidecar["command"]
    assert python.endswith("python3.11")
    with running(*command, *map("=".join, arguments.items()), ready="Uvicorn running"):
        answer = httpx.get(f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=30)
    assert answer.status_code == 503 and "cannot be reached" in answer.text
