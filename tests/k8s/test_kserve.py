"""KServe's serving runtimes match its schemas, and their command lines serve what the storage holds."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import numpy as np
import pytest
import tritonclient.grpc
import yaml

from tests.k8s import crds
from tests.k8s.test_manifests import K8S, kustomize
from tests.programs import EXPORTS, REPOSITORY, free_port, running

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")

RUNTIMES = ["vitrine-embedded-server", "vitrine-gateway"]
SERVICES = [yaml.safe_load(path.read_text()) for path in sorted((K8S / "kserve/examples").glob("*.yaml"))]
PICTURE = [[[0]] * 28] * 28


def runtime(name: str) -> dict[str, Any]:
    (found,) = (one for one in kustomize(K8S / "kserve") if one["metadata"]["name"] == name)
    return found


def rendered(name: str, service: str, storage: Path, ports: Mapping[str, int]) -> dict[str, Any]:
    """Return the runtime's container as KServe makes it for a service, with other ports and a folder as storage."""
    text = yaml.safe_dump(runtime(name)["spec"]["containers"][0]).replace("{{.Name}}", service)
    assert "{{" not in text
    container: dict[str, Any] = yaml.safe_load(text.replace("/mnt/models", str(storage)))
    container["args"] = [re.sub(r"=(8080|9000)$", lambda port: f"={ports[port[1]]}", one) for one in container["args"]]
    return container


def entrypoint(target: str) -> str:
    """Return the module that the image of this target runs."""
    stage = (REPOSITORY / "Dockerfile").read_text().partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
    (module,) = re.findall(r'^ENTRYPOINT \["/usr/bin/python3.11", "-m", "([\w.]+)"\]$', stage, re.MULTILINE)
    return module


@pytest.mark.parametrize("name", RUNTIMES)
def test_runtimes_match_the_schemas_and_run_unprivileged(name: str) -> None:
    found = runtime(name)
    crds.validate(found)
    (container,) = found["spec"]["containers"]
    assert container["name"] == "kserve-container" and re.search(r":[\d.]+$", container["image"])
    security = container["securityContext"]
    assert security["runAsNonRoot"] and security["readOnlyRootFilesystem"] and "nodeSelector" not in found["spec"]
    pod = {"containers": [container], "volumes": found["spec"]["volumes"]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runtime"}, "spec": pod}
    kubernetes_validate.validate(manifest, "1.36", strict=True)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service["metadata"]["name"])
def test_examples_use_a_runtime_and_a_protocol_that_exist(service: dict[str, Any]) -> None:
    crds.validate(service)
    model = service["spec"]["predictor"]["model"]
    spec = runtime(model["runtime"])["spec"]
    assert model["modelFormat"]["name"] in {one["name"] for one in spec["supportedModelFormats"]}
    assert model["protocolVersion"] in spec["protocolVersions"]


def test_the_checks_detect_a_wrong_runtime() -> None:
    found = runtime("vitrine-gateway")
    with pytest.raises(crds.jsonschema.ValidationError):
        crds.validate({**found, "spec": {**found["spec"], "protocolVersion": "v2"}})


def test_the_embedded_server_answers_v1_for_the_name_of_the_service() -> None:
    port = free_port()
    ports = {"8080": port, "9000": free_port()}
    container = rendered("vitrine-embedded-server", "fashion", EXPORTS / "fashion_cnn", ports)
    with (
        running("-m", entrypoint("embedded-server"), *container["args"], ready="Exporting HTTP/REST API"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        assert http.get(container["readinessProbe"]["httpGet"]["path"]).status_code == 200
        answer = http.post("/v1/models/fashion:predict", json={"instances": [PICTURE, PICTURE]})
        assert [len(row) for row in answer.json()["predictions"]] == [10, 10]
        assert http.post("/v1/models/fashion:predict", json={"instances": [[1]]}).status_code == 400
        assert http.get("/v1/models/other").status_code == 404


def test_the_gateway_answers_v1_v2_and_grpc_v2_for_all_models() -> None:
    port, grpc_port = free_port(), free_port()
    container = rendered("vitrine-gateway", "vitrine", EXPORTS, {"8080": port, "9000": grpc_port})
    with (
        running("-m", entrypoint("server"), *container["args"], ready="Uvicorn running") as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        probe = container["readinessProbe"]["httpGet"]["path"]
        program.wait_until(lambda: http.get(probe).status_code == 200)
        assert http.get(container["livenessProbe"]["httpGet"]["path"]).status_code == 200
        one = http.post("/v1/models/fashion_cnn:predict", json={"instances": [PICTURE]}).json()["predictions"]
        assert len(one[0]) == 10
        metadata = http.get("/v2/models/fashion_cnn").json()
        assert [tensor["name"] for tensor in metadata["inputs"]] == ["image"]
        assert http.get("/v2/models/fashion_cnn/ready").status_code == 200
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0] * 784}
        answer = http.post("/v2/models/fashion_cnn/infer", json={"inputs": [tensor]}).json()
        assert answer["outputs"][0]["data"] == pytest.approx(one[0], abs=1e-6)
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}") as client:
            image = tritonclient.grpc.InferInput("image", [1, 28, 28, 1], "UINT8")
            image.set_data_from_numpy(np.zeros((1, 28, 28, 1), np.uint8))
            assert client.infer("fashion_cnn", [image]).as_numpy("probabilities")[0] == pytest.approx(one[0], abs=1e-6)
        wrong = http.post("/v2/models/fashion_cnn/infer", json={"inputs": [tensor | {"shape": [1, 28, 28]}]})
        assert wrong.status_code == 400 and wrong.json()["error"]
