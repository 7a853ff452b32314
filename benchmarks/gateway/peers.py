"""Servers of others, each in an environment of its own that is made when it is first asked for.

An environment is a folder of the user's cache, named by what stands in the peer's requirements file; pip fills it, or
uv where that is installed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.load import Form, Target
from benchmarks.gateway.servers import REPOSITORY, Server, ServerError, free_ports

_FOLDER = REPOSITORY / "benchmarks" / "peers"
_PATIENCE = 900  # seconds for an environment


@dataclass(frozen=True)
class Peer:
    """A file of ``benchmarks/peers`` and how it is asked."""

    title: str
    path: str
    form: Form
    needs_other_port: bool = False
    workers: int = 1


PEERS = {
    "kserve": Peer("KServe", "/v1/models/fashion_cnn:predict", "instances"),
    "kserve-2": Peer("KServe, 2 workers", "/v1/models/fashion_cnn:predict", "instances", workers=2),
    "mlserver": Peer("MLServer", "/v2/models/fashion_cnn/infer", "inputs", needs_other_port=True),
    "mlserver-2": Peer("MLServer, 2 workers", "/v2/models/fashion_cnn/infer", "inputs", True, workers=2),
    "litserve": Peer("LitServe", "/predict", "instances"),
    "bentoml": Peer("BentoML", "/predict", "picture"),
    "ray": Peer("Ray Serve", "/predict", "picture"),
}


def server(name: str, version_directory: Path, say: Callable[[str], None]) -> Server:
    """The peer as a server that can be started. ``say`` hears of an environment that is to be made.

    Raises:
        ServerError: its environment cannot be made; the message has what pip printed.
    """
    peer = PEERS[name]
    program = name.partition("-")[0]
    python = _environment(program, say)
    port, other_port = free_ports(2)
    arguments = [f"benchmarks.peers.{program}_server", str(version_directory), f"--port={port}"]
    if peer.workers > 1:
        arguments.append(f"--workers={peer.workers}")
    if peer.needs_other_port:
        arguments.append(f"--other-port={other_port}")
    return Server(peer.title, {"server": arguments}, Target(port, peer.path, peer.form), str(python))


def _environment(name: str, say: Callable[[str], None]) -> Path:
    requirements = _FOLDER / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "vitrine" / "peers" / f"{name}-{digest}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        say(f"{PEERS[name].title}: its environment is being made in {folder}")
        uv = shutil.which("uv")
        venv.create(folder, clear=True, with_pip=uv is None)
        install = [uv, "pip", "install", f"--python={python}"] if uv else [str(python), "-m", "pip", "install"]
        try:
            done = subprocess.run(
                [*install, "--quiet", "-r", str(requirements)],
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(f"its environment was not made within {_PATIENCE} s") from None
        if done.returncode:
            raise ServerError(f"its environment cannot be made:\n{done.stderr[-2000:]}")
        ready.touch()
    return python
