"""``vitrine up``: the commands it prints, version changes under load, and Ctrl-C."""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from serving.artifacts.registry import ModelRegistry
from serving.tfs_api import messages
from tests.programs import REPOSITORY, Program, free_port

PORT = free_port()


@pytest.fixture
def up(exports: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Program, str]]:
    """Run the command with a copy of the shipped models in a folder with a space. A test may add flags."""
    folder = tmp_path / "with a space" / "exports"
    shutil.copytree(exports, folder)
    port = free_port()
    command = ["-m", "training.cli.main", "up", f"--port={port}"]
    command += [f"--exports={folder}", f"--logs={tmp_path / 'logs'}", *getattr(request, "param", [])]
    env = {"http_proxy": "http://127.0.0.1:9", "VITRINE_MODEL_SERVER": "nowhere:1"}  # neither is used
    program = Program([sys.executable, *command], env=env)
    try:
        program.wait_for("sine_rnn:forecast", 30)
        yield program, f"http://127.0.0.1:{port}"
    finally:
        assert program.stop(signal.SIGINT) == 0
        assert "stopped" in program.output
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/livez")


def test_the_printed_commands_work(up: tuple[Program, str]) -> None:
    program, _ = up
    lines = re.findall(r"^  (curl .*)$", program.output, re.MULTILINE)
    assert len(lines) == 3
    results = []
    for line in lines:
        done = subprocess.run(f"{line} --silent --fail", shell=True, capture_output=True, cwd=REPOSITORY, check=True)
        results.append(json.loads(done.stdout))
    boot, cross, sine = results
    assert (boot["version"], boot["predictions"][0]["label"]) == (1, "Ankle boot")
    assert cross["predictions"][0]["label"] == "X"
    assert sine["forecasts"][0]["mean"][:2] == pytest.approx([0.7932, 0.9288], abs=0.001)


def test_vitrine_predict_embed_and_forecast(up: tuple[Program, str], tmp_path: Path) -> None:
    _, url = up

    def vitrine(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "training.cli.main", *arguments, "--url", url]
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)

    odd = shutil.copy(REPOSITORY / "examples/ankle_boot.png", tmp_path / "[a] b[bold].png")  # no markup
    assert "[a] b[bold].png: Ankle boot" in vitrine("predict", odd).stdout
    assert re.search(r"│ 1 +│ 0\.7932", vitrine("forecast", "sine_rnn", "--history", "0.31,0.58").stdout)
    embedded = vitrine("embed", "examples/ankle_boot.png").stdout.split("\t")
    assert embedded[0] == "examples/ankle_boot.png" and len([float(value) for value in embedded[1:]]) == 64
    refused = vitrine("predict", "pyproject.toml")
    assert refused.returncode == 1 and "PNG, JPEG" in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "up",
    [["--admin"], ["--admin", "--model-server-process", f"--grpc-port={free_port()}"]],
    ids=["embedded", "process"],
    indirect=True,
)
def test_version_changes_and_a_rollback_lose_no_request(up: tuple[Program, str], tmp_path: Path) -> None:
    _, url = up
    registry = ModelRegistry(tmp_path / "with a space" / "exports")
    picture = (REPOSITORY / "examples" / "ankle_boot.png").read_bytes()
    versions: list[int] = []
    failures: list[str] = []
    changed, stop = threading.Condition(), threading.Event()

    def caller() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stop.is_set():
                response = client.post(
                    "/v1/models/fashion_cnn:predict", content=picture, headers={"Content-Type": "image/png"}
                )
                with changed:
                    if response.status_code != 200 or response.json()["predictions"][0]["label"] != "Ankle boot":
                        failures.append(response.text)
                    else:
                        versions.append(response.json()["version"])
                    changed.notify_all()

    def wait_for_version(version: int) -> None:
        with changed:
            start = len(versions)
            answered = changed.wait_for(lambda: failures or version in versions[start:], 30)
            assert answered, f"version {version} has not answered"

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()

    def change(verb: str, **sent: object) -> object:
        response = httpx.post(f"{url}/v1/models/fashion_cnn:{verb}", json=sent, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()["version"], response.json()["before"]

    def publish() -> int:
        with registry.staging("fashion_cnn") as directory:
            shutil.copytree(registry.directory("fashion_cnn", 1), directory, dirs_exist_ok=True)
            return registry.publish("fashion_cnn", directory)

    try:
        wait_for_version(1)
        assert publish() == 2
        registry.promote("fashion_cnn", 2)
        wait_for_version(2)
        assert change("rollback") == (1, 2)
        wait_for_version(1)
        for number in (3, 4):  # after a rollback models.config lists versions by number
            assert publish() == number
            registry.promote("fashion_cnn", number)
            wait_for_version(number)
        assert change("promote", version=1) == (1, 4)  # which is no longer loaded
        wait_for_version(1)
        assert change("canary", version=3, percent=50) == (3, None)
        wait_for_version(3)
        assert change("rollback") == (1, 1)
    finally:
        stop.set()
        for thread in callers:
            thread.join()
    assert not failures, failures[:3]


def test_ipv6_tls_and_the_access_log(exports: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("::1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    port = free_port()
    command = ["-m", "training.cli.main", "up", "--host=::1", f"--port={port}"]
    command += [f"--exports={exports}", f"--logs={tmp_path / 'logs'}"]
    pem = str(tmp_path / "cert.pem")
    env = {"VITRINE_TLS_CERT": pem, "VITRINE_TLS_KEY": pem, "VITRINE_ACCESS_LOG": "1"}
    program = Program([sys.executable, *command], env=env)
    try:
        program.wait_for(f"https://[::1]:{port}/v1/models/sine_rnn:forecast", 30)
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert httpx.get(f"https://[::1]:{port}/readyz", verify=trust).json()["ready"]
    finally:
        assert program.stop(signal.SIGINT) == 0
    assert "GET /readyz 200" in (tmp_path / "logs" / f"gateway-{port}.log").read_text()


def test_one_process_without_tensorflow_and_without_other_ports(up: tuple[Program, str], tmp_path: Path) -> None:
    program, url = up
    (gateway,) = children(program.process.pid)
    maps = Path(f"/proc/{gateway}/maps").read_text()
    assert "onnxruntime" in maps and "tensorflow" not in maps and "grpc" not in maps
    assert [log.name for log in (tmp_path / "logs").iterdir()] == [f"gateway-{url.rpartition(':')[2]}.log"]
    notes = httpx.get(f"{url}/readyz").json()["notes"]
    assert any("fashion_cnn version 1 does not serve signature serving_bytes" in note for note in notes), notes
    assert all("--model-server-process" in note for note in notes)
    picture = base64.b64encode((REPOSITORY / "examples/ankle_boot.png").read_bytes()).decode()
    document = {"instances": [{"b64": picture}], "signature_name": "serving_bytes"}
    refused = httpx.post(f"{url}/v1/models/fashion_cnn:predict", json=document)
    assert refused.status_code == 501 and "--model-server-process" in refused.json()["error"]


@pytest.mark.parametrize("up", [[f"--grpc-port={PORT}"]], indirect=True)
def test_the_grpc_port_of_tensorflow_serving_opens_on_request(up: tuple[Program, str]) -> None:
    program, _ = up
    assert len(children(program.process.pid)) == 1
    with grpc.insecure_channel(f"127.0.0.1:{PORT}") as channel:
        grpc.channel_ready_future(channel).result(20)
        call = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        request = messages.GetModelStatusRequest()
        request.model_spec.name = "fashion_cnn"
        status = messages.GetModelStatusResponse.FromString(call(request.SerializeToString(), timeout=20))
    assert [one.version for one in status.model_version_status] == [1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--engine=tensorflow"], "--engine tensorflow needs --model-server-process"),
        (["--workers=2", "--grpc-port=1"], "--grpc-port with --workers 2 needs --model-server-process"),
    ],
)
def test_flags_that_need_a_separate_model_server(flags: list[str], words: str) -> None:
    command = [sys.executable, "-m", "serving.cli.main", "up", *flags]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, "COLUMNS": "200"}
    )
    assert ended.returncode == 1 and words in ended.stderr


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_taken_port_is_an_error(exports: Path, up: tuple[Program, str]) -> None:
    _, url = up
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "training.cli.main", "up"]
    command += [f"--port={port}", f"--exports={exports}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert f"port {port} is taken by another program: choose another with --port" in done.stderr


def test_predict_without_a_gateway_fails_at_once() -> None:
    command = [sys.executable, "-m", "training.cli.main", "predict", "examples/ankle_boot.png"]
    command += ["--url", f"http://127.0.0.1:{free_port()}"]
    # The client's own time-out is 30 s.
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=25)
    assert done.returncode == 1 and "cannot be reached" in done.stderr
    assert "start the gateway with: vitrine up" in done.stderr
