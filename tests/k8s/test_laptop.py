"""The commands of the Kubernetes tutorial, against processes that run as the laptop overlay's pods do.

A test plays the kubelet: it runs the containers' commands with their settings, and a folder in place of the claim.
"""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.artifacts.registry import ModelRegistry
from tests.docs.command_blocks import read
from tests.k8s.test_manifests import K8S, Manifest, containers, kustomize, pods
from tests.programs import REPOSITORY, Program, free_port

TUTORIAL = REPOSITORY / "docs/tutorials/kubernetes.md"
PORTS = {"8000": free_port(), "8500": free_port(), "8501": free_port()}


class Kubelet:
    """Runs containers of an overlay as processes."""

    def __init__(self, overlay: str, volume: Path) -> None:
        self._manifests = kustomize(K8S / "overlays" / overlay)
        self._volume = volume
        self._programs = contextlib.ExitStack()

    def start(self, name: str) -> Program:
        """Start the container ``DEPLOYMENT/CONTAINER``."""
        container = dict(containers(self._manifests))[name]
        settings = {
            key: value
            for source in container.get("envFrom", ())
            for manifest in self._manifests
            if (manifest["kind"], manifest["metadata"]["name"]) == ("ConfigMap", source["configMapRef"]["name"])
            for key, value in manifest["data"].items()
        } | {one["name"]: one["value"] for one in container.get("env", ())}
        command = [self._here(part) for part in (*container["command"], *container.get("args", ()))]
        if "serving.model_server" in command:
            command.append(f"--mount=/models={self._volume}")  # base paths of models.config
        program = Program(command, {key: self._here(value) for key, value in settings.items()})
        self._programs.callback(program.stop)
        return program

    def mounts(self, name: str) -> Iterator[tuple[str, Manifest]]:
        """Yield each container's mount of the claim in a pod."""
        pod = dict(pods(self._manifests))[name]
        (volume,) = [one["name"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            for mount in container["volumeMounts"]:
                if mount["name"] == volume:
                    yield container["name"], mount

    def close(self) -> None:
        self._programs.close()

    def _here(self, text: str) -> str:
        """Replace what only a pod has: its Python, the claim, ports, names of Services."""
        text = text.replace("/usr/bin/python3.11", sys.executable)
        text = re.sub(r"(^|=)/models\b", rf"\g<1>{self._volume}", text)
        text = text.replace("--host=0.0.0.0", f"--port={PORTS['8000']}").replace("model-server:", "127.0.0.1:")
        text = text.replace("/etc/vitrine/", f"{K8S}/base/model-server/")
        return re.sub(r"(?<=[=:])(8000|8500|8501)\b", lambda found: str(PORTS[found[0]]), text)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "claim").mkdir()
    return tmp_path / "claim"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{PORTS['8000']}", trust_env=False) as client:
        yield client


@pytest.fixture
def kubelet(volume: Path) -> Iterator[Kubelet]:
    with contextlib.closing(Kubelet("laptop", volume)) as kubelet:
        yield kubelet


@pytest.fixture
def other_kubelet(volume: Path) -> Iterator[Kubelet]:
    with contextlib.closing(Kubelet("cpu", volume)) as kubelet:
        yield kubelet


def test_the_laptop_overlay_starts_with_an_empty_claim(
    kubelet: Kubelet, other_kubelet: Kubelet, http: httpx.Client, volume: Path
) -> None:
    gateway = kubelet.start("gateway/gateway")
    gateway.wait_for("Uvicorn running")
    assert http.get("/livez").status_code == 200
    assert http.get("/readyz").status_code == 503

    # The base's container waits, and starts no model server that would end.
    wait = other_kubelet.start("model-server/exports")
    wait.wait_for("waiting for")
    assert wait.process.poll() is None

    assert kubelet.start("model-server/exports").process.wait(60) == 0
    assert wait.process.wait(10) == 0
    assert ModelRegistry(volume).models() == ModelRegistry(REPOSITORY / "exports").models()
    kubelet.start("model-server/model-server").wait_for("Running gRPC ModelServer")
    gateway.wait_until(lambda: http.get("/readyz").status_code == 200)

    (command,) = [one for one in read(TUTORIAL.read_text()) if getattr(one, "test", "").endswith("_empty_claim")]
    block = TUTORIAL.read_text().splitlines()[command.line :]
    (curl,) = re.findall(r"^\$ (curl .*)$", "\n".join(block[: block.index("```", 1)]), re.MULTILINE)
    printed = subprocess.run(
        curl.replace("8000", str(PORTS["8000"])), shell=True, cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    ).stdout
    assert '"label":"Ankle boot"' in printed


def test_only_the_container_that_copies_may_write(kubelet: Kubelet) -> None:
    mounts = [*kubelet.mounts("model-server"), *kubelet.mounts("gateway")]
    assert {name: mount["readOnly"] for name, mount in mounts} == {
        "exports": False,
        "model-server": True,
        "gateway": True,
    }


def test_the_names_of_services_and_ports_match() -> None:
    """The addresses ``model-server:8500`` and ``service/gateway 80``, which the first test replaces."""
    manifests = kustomize(K8S / "overlays/laptop")
    services = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "Service"}
    deployments = {one["metadata"]["name"]: one["spec"]["template"] for one in manifests if one["kind"] == "Deployment"}
    for name, port in (("gateway", 8000), ("model-server", 8500)):
        service, pod = services[name], deployments[name]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()
        (target,) = {one["targetPort"] for one in service["ports"] if one["name"] in ("http", "grpc")}
        assert {"name": target, "containerPort": port} in pod["spec"]["containers"][0]["ports"]
    assert [one["port"] for one in services["gateway"]["ports"]] == [80]
