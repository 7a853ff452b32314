"""The program of the image ``vitrine-server``, started and called as hosting platforms do.

tests/sdks plays MLflow with its own client.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import httpx
import pytest

from tests import s3
from tests.programs import REPOSITORY, Program, free_port
from tests.serving.gateway import served_models
from tests.serving.gateway.conftest import picture

ROWS = [[2, 6.3], [3, 6.9]]
PRICES = [pytest.approx(65.0), pytest.approx(72.0)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    served_models.price(folder, 1)
    served_models.shade(folder, 1)
    served_models.trend(folder, 1)
    served_models.configure(folder, {name: {"stable": 1} for name in ("price", "shade", "trend")})
    return folder


@contextlib.contextmanager
def container(*arguments: str, port: int, **env: str) -> Iterator[tuple[httpx.Client, Program]]:
    """Run the program with a container's variables, listening on all addresses."""
    variables = {"VITRINE_HOST": "0.0.0.0", "VITRINE_POLL_SECONDS": "0.05", **env}
    program = Program([sys.executable, "-m", "serving.server", *arguments], variables)
    try:
        program.wait_for("Uvicorn running", 120)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client, program
    finally:
        program.stop()


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.server", *arguments]
    variables = {**os.environ, "VITRINE_HOST": "0.0.0.0", **env}
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, env=variables)


def test_sagemaker(root: Path) -> None:
    """``docker run IMAGE serve``; the port is SAGEMAKER_BIND_TO_PORT, or 8080."""
    port = free_port()
    env = {"SAGEMAKER_BIND_TO_PORT": str(port), "VITRINE_EXPORTS": str(root), "VITRINE_DEFAULT_MODEL": "price"}
    with container("serve", port=port, **env) as (http, program):
        program.wait_until(lambda: http.get("/ping").status_code == 200)
        csv = http.post("/invocations", content=b"2,6.3\n3,6.9\n", headers={"Content-Type": "text/csv"})
        assert csv.json() == {"predictions": PRICES}
        other = {"X-Amzn-SageMaker-Custom-Attributes": "tfs-model-name=shade", "Content-Type": "image/png"}
        assert http.post("/invocations", content=picture(), headers=other).json()["model"] == "shade"
        assert "SageMaker authenticates callers" in program.output


def test_vertex_ai(root: Path, tmp_path: Path) -> None:
    """Models from AIP_STORAGE_URI, routes and port from the other variables."""
    port = free_port()
    predict, health = "/v1/endpoints/7/deployedModels/8:predict", "/v1/endpoints/7/deployedModels/8"
    with s3.server() as store:
        source = s3.exports()
        fsspec.filesystem("s3", skip_instance_cache=True).put(f"{root}/", source, recursive=True)
        env = {"AIP_HTTP_PORT": str(port), "AIP_STORAGE_URI": source, "AIP_PREDICT_ROUTE": predict}
        env |= {"AIP_HEALTH_ROUTE": health, "VITRINE_DEFAULT_MODEL": "price", "TMPDIR": str(tmp_path)}
        with container(port=port, **env, **s3.environment(store)) as (http, program):
            program.wait_until(lambda: http.get(health).status_code == 200)
            answer = http.post(predict, json={"instances": ROWS, "parameters": {}})
            assert answer.json() == {"predictions": PRICES}
            assert http.post(predict, json={"instances": ROWS, "parameters": {"top": 1}}).status_code == 400
            assert "Vertex AI authenticates callers" in program.output
    assert (tmp_path / "vitrine-models" / "price" / "1").is_dir()


def test_vertex_ai_without_models(tmp_path: Path) -> None:
    ended = run(AIP_HTTP_PORT="8080", AIP_STORAGE_URI=f"file://{tmp_path}", TMPDIR=str(tmp_path))
    assert ended.returncode == 1
    assert f"copying the models of AIP_STORAGE_URI=file://{tmp_path}" in ended.stderr
    assert "cannot be copied" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_cloud_run(root: Path) -> None:
    """PORT, and SIGTERM: a request in flight is answered, and the process ends with code 0."""
    port = free_port()
    with container(port=port, K_SERVICE="shop", PORT=str(port), VITRINE_EXPORTS=str(root)) as (http, program):
        program.wait_until(lambda: http.get("/v1/models/price/ready").status_code == 200)
        assert http.post("/v1/models/price:predict", json={"instances": ROWS}).json() == {"predictions": PRICES}
        statuses: list[int] = []
        begun, stopped = threading.Event(), threading.Event()

        def body() -> Iterator[bytes]:
            content = json.dumps({"instances": ROWS}).encode()
            yield content[:5]
            begun.set()
            stopped.wait(30)
            yield content[5:]

        thread = threading.Thread(
            target=lambda: statuses.append(
                httpx.post(f"http://127.0.0.1:{port}/v1/models/price:predict", content=body(), timeout=30).status_code
            )
        )
        thread.start()
        assert begun.wait(30)
        program.process.send_signal(signal.SIGTERM)
        program.wait_for("Shutting down")
        stopped.set()
        thread.join(30)
        assert statuses == [200]
        assert program.process.wait(30) == 0


def test_sigterm_while_models_load() -> None:
    """A version that still loads in its thread does not abort the process."""
    port = free_port()
    shipped = str(REPOSITORY / "exports")
    with container(port=port, K_SERVICE="shop", PORT=str(port), VITRINE_EXPORTS=shipped) as (_, program):
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(30) == 0


def test_keys_are_required_without_a_platform(root: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    refused = run(VITRINE_EXPORTS=str(root))
    assert refused.returncode == 2
    assert "vitrine-server keys create NAME" in refused.stderr and "--insecure" in refused.stderr
    key = run("keys", "create", "shop", "--verb", "predict", VITRINE_KEYS=str(keys)).stdout.strip()
    port = free_port()
    env = {"VITRINE_EXPORTS": str(root), "VITRINE_KEYS": str(keys), "VITRINE_DEFAULT_MODEL": "prize"}
    with container(f"--port={port}", port=port, **env) as (http, program):
        program.wait_until(lambda: http.get("/readyz").status_code == 200)
        assert http.get("/ping").status_code == 503
        program.wait_for("/ping is 503: the default model cannot answer: there is no model 'prize'")
        headers = {"X-Amzn-SageMaker-Custom-Attributes": "tfs-model-name=price"}
        assert http.post("/invocations", json={"instances": ROWS}, headers=headers).status_code == 401
        headers["Authorization"] = f"Bearer {key}"
        assert http.post("/invocations", json={"instances": ROWS}, headers=headers).json() == {"predictions": PRICES}
        headers["X-Amzn-SageMaker-Custom-Attributes"] = "tfs-model-name=trend"
        forecast = {"history": [1, 2, 3, 4], "horizon": 3}
        assert http.post("/invocations", json=forecast, headers=headers).status_code == 403
        assert http.post("/invocations", json={"history": [1, 2, 3, 4]}, headers=headers).status_code == 200


def test_the_help_names_the_image() -> None:
    command = [sys.executable, "-m", "serving.server", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.startswith("usage: vitrine-server ") and "serving.gateway" not in shown.splitlines()[0]
