"""Servers of other projects.

A peer with a requirements file has an environment of its own, installed on first use, by uv if available, else by pip:
a folder of the user's cache, named by the digest of that file. The others run in the project's environment.
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

from benchmarks.gateway.servers import KINDS, REPOSITORY, Server, ServerError, free_ports
from benchmarks.gateway.target import Form, Target

_FOLDER = REPOSITORY / "benchmarks" / "peers"
_PATIENCE = 900  # seconds for an installation


@dataclass(frozen=True)
class Peer:
    """A file of ``benchmarks/peers``, its numbers of workers, and its requests."""

    title: str
    path: str = "/predict"
    form: Form = "file"
    workers: tuple[int, ...] = (1,)
    kinds: tuple[str, ...] = KINDS


PEERS = {
    "onnxruntime": Peer("FastAPI + onnxruntime", workers=(1, 2)),
    "kserve": Peer("KServe", "/v1/models/fashion_cnn:predict", "kserve", workers=(1, 2)),
    "mlserver": Peer("MLServer", "/v2/models/fashion_cnn/infer", "inputs", workers=(1, 2)),
    "keras": Peer("FastAPI + Keras predict"),
    "litserve": Peer("LitServe", form="kserve", kinds=("picture", "photo")),
    "bentoml": Peer("BentoML", kinds=("picture",)),
    "ray": Peer("Ray Serve", kinds=("picture", "photo")),
}


def servers(name: str, version_directory: Path, say: Callable[[str], None]) -> list[Server]:
    """Return the peer with each number of workers. ``say`` hears of an installation.

    Raises:
        ServerError: The installation failed. The message has what pip printed.
    """
    peer, python = PEERS[name], _python(name, say)
    found = []
    for workers in peer.workers:
        port, other_port = free_ports(2)
        arguments = [f"benchmarks.peers.{name}_server", str(version_directory), f"--port={port}"]
        arguments += [f"--workers={workers}"] if len(peer.workers) > 1 else []
        arguments += [f"--other-port={other_port}"] if name == "mlserver" else []
        title = peer.title if workers == 1 else f"{peer.title}, {workers} workers"
        target = Target(port, peer.path, peer.form)
        found.append(Server(title, {"server": arguments}, target, python, kinds=peer.kinds))
    return found


def _python(name: str, say: Callable[[str], None]) -> str:
    requirements = _FOLDER / "requirements" / f"{name}.txt"
    if not requirements.exists():
        return sys.executable
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "vitrine" / "peers" / f"{name}-{digest}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        say(f"installing {PEERS[name].title} into {folder}")
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
            raise ServerError(f"its installation took more than {_PATIENCE} s") from None
        if done.returncode:
            raise ServerError(f"its installation failed:\n{done.stderr[-2000:]}")
        ready.touch()
    return str(python)
