"""The commands of the documentation and of the README work, and print what the pages show.

Each page has a folder of its own. A page starts its servers itself, with a visible or an invisible ``vitrine up``.
"""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from serving.artifacts.user_models import USER_EXPORTS, seed, shipped_models
from tests.docs.command_blocks import Command, Elsewhere, read
from tests.programs import REPOSITORY, free_port

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
_SECONDS = 120.0  # for one command
_SERVER = re.compile(r"(vitrine up|vitrine-model-server|python -m serving\.(gateway|model_server))\b")
_OWN_PORT = re.compile(r"--port[= ](\d+)")
_PORT = re.compile(r"(?<=127\.0\.0\.1:)[1-9]\d{3,4}\b|(?<=localhost:)[1-9]\d{3,4}\b|(?<=port[= ])[1-9]\d{3,4}\b")


class Reader:
    """Somebody who types a page's commands in an empty folder that has the examples."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        (folder / "examples").symlink_to(REPOSITORY / "examples")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "VITRINE_URL": f"http://127.0.0.1:{self._port('8000')}",
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "TERM": "dumb",
        }
        if data := os.environ.get("VITRINE_DATA"):
            self._env["VITRINE_DATA"] = data
        seed(folder / USER_EXPORTS, shipped_models())  # which the first command would do, and say

    def do(self, command: Command) -> None:
        """Run a command or script. Fails with its output if it fails or prints something else than the page shows."""
        text = self._with_free_ports(command.text)
        if _SERVER.match(text) and not command.script:
            return self._serve(text)
        if text.startswith("export ") and not command.script:  # each command has a shell of its own
            self._env |= dict(part.split("=", 1) for part in shlex.split(text, comments=True)[1:])
            return None
        arguments = [sys.executable, "-c", text] if command.script else ["bash", "-c", text]
        done = subprocess.run(
            arguments,
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
        )
        printed = _trimmed(done.stdout)
        if done.returncode != 0:
            pytest.fail(f"line {command.line}: {text}\nexit code {done.returncode}\n{printed}", pytrace=False)
        shown = _trimmed(self._with_free_ports(command.shown))
        pattern = ".*".join(re.escape(part) for part in shown.split("…"))
        if shown and not re.fullmatch(pattern, printed, re.DOTALL):
            pytest.fail(f"line {command.line}: {text}\nthe page shows:\n{shown}\nprinted:\n{printed}", pytrace=False)

    def stop(self) -> None:
        """Stop all servers."""
        for port in list(self._servers):
            self._stop(port)

    def _port(self, name: str) -> int:
        return self._ports.setdefault(name, free_port())

    def _with_free_ports(self, text: str) -> str:
        return _PORT.sub(lambda found: str(self._port(found[0])), text)

    def _serve(self, text: str) -> None:
        text = text.partition("  #")[0].rstrip()
        if text.startswith("vitrine up") and "--port" not in text:
            text += f" --port {self._port('8000')}"
        if text.startswith("vitrine up"):
            text += " --no-train-missing"
        ports = [int(found) for found in _PORT.findall(text)]
        for port in set(ports) & self._servers.keys():
            self._stop(port)
        log = self._folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {text}"], cwd=self._folder, env=self._env, stdout=output, stderr=output
            )
        self._servers |= dict.fromkeys(ports, server)
        is_gateway = text.startswith(("vitrine up", "python -m serving.gateway"))
        port = int(_OWN_PORT.findall(text)[0])
        until = time.monotonic() + _SECONDS
        while not all(map(_listens, ports)) or (is_gateway and not _is_ready(port)):
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{text}\nis not ready:\n{log.read_text()}", pytrace=False)
            time.sleep(0.05)

    def _stop(self, port: int) -> None:
        server = self._servers.pop(port)
        server.terminate()
        server.wait(60)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _is_ready(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    return False


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    commands = [part for part in read(page.read_text(encoding="utf-8")) if isinstance(part, Command)]
    if not commands:
        return
    reader = Reader(tmp_path)
    try:
        for command in commands:
            reader.do(command)
    finally:
        reader.stop()


def test_named_tests_exist() -> None:
    named = [
        (page, part.test)
        for page in PAGES
        for part in read(page.read_text(encoding="utf-8"))
        if isinstance(part, Elsewhere) and part.test
    ]
    for page, test in named:
        path, _, name = test.partition("::")
        assert (REPOSITORY / path).is_file() and f"def {name}(" in (REPOSITORY / path).read_text(), f"{page}: {test}"
