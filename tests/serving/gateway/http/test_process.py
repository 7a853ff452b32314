"""The process: what it does not import, its memory, how it starts and stops. ``pytest -rP`` prints the figures."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import REPOSITORY, free_port
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

MOST_MEGABYTES = 120


def resident_megabytes(process: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1000


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_process_has_no_tensorflow_and_little_memory(served: Gateway) -> None:
    for _ in range(300):
        served.http.post("/v1/models/shade:predict", content=picture())
    process = served.program.process.pid
    maps = Path(f"/proc/{process}/maps").read_text()
    assert "serving" in Path(f"/proc/{process}/cmdline").read_text()
    assert "libtensorflow" not in maps
    assert "_pywrap_tensorflow" not in maps
    assert "onnxruntime" not in maps
    megabytes = resident_megabytes(process)
    print(f"resident after 300 requests: {megabytes:.0f} MB")
    assert megabytes < MOST_MEGABYTES


def test_training_is_not_imported() -> None:
    program = (
        "import sys, serving.gateway.http.server\n"
        "unwanted = {'training', 'keras', 'onnxruntime', 'tensorflow', 'tensorflow_serving'}\n"
        "found = [name for name in sys.modules if name.split('.')[0] in unwanted]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)


def test_it_answers_without_a_model_server(tmp_path: Path) -> None:
    port = free_port()
    started = time.perf_counter()
    with programs.gateway(f"127.0.0.1:{port}", tmp_path / "models.config") as gateway:
        assert gateway.http.get("/livez").status_code == 200
        print(f"first answer after {time.perf_counter() - started:.2f} s")
        ready = gateway.http.get("/readyz")
        assert ready.status_code == 503
        assert "there is no file" in ready.json()["reasons"][0]
        assert gateway.http.get("/v1/models").json() == {"models": [], "object": "list", "data": []}


def test_sigterm_drains_and_ends_with_code_0(models_root: Path) -> None:
    """While draining, /readyz is 503 and requests are answered; then the process ends with code 0."""
    address = f"127.0.0.1:{free_port()}"
    with programs.gateway(address, models_root / "models.config", "--drain-seconds=3") as gateway:
        assert gateway.http.get("/livez").status_code == 200
        gateway.program.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 10
        while "the gateway is shutting down" not in gateway.http.get("/readyz").json()["reasons"]:
            assert time.monotonic() < until
        assert gateway.http.get("/livez").status_code == 200
        assert gateway.program.process.wait(20) == 0
    assert "Traceback" not in gateway.program.output
