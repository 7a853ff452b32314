"""The servers under measurement: which programs each is made of, started together, ended by their own ids."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.target import Question, Target, post_once
from serving.artifacts.models_config import MOUNT_POINT

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = ("picture", "rows", "photo")
_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 120.0  # seconds for a start


class ServerError(Exception):
    """A server did not start; the message has what it printed."""


@dataclass(frozen=True)
class Server:
    """The programs of one server under measurement, and where it answers.

    Each program runs as ``python -m`` with these arguments, by this Python, in this checkout. ``kinds`` are the
    requests that it can answer, see :mod:`.kinds`.
    """

    name: str
    programs: Mapping[str, list[str]]
    target: Target
    python: str = sys.executable
    checkout: Path = REPOSITORY
    kinds: tuple[str, ...] = KINDS


@dataclass
class Running:
    """A server's processes."""

    server: Server
    pids: Mapping[str, int]
    cold_start: float

    def cpu(self) -> float:
        """Seconds of processor time that its processes have taken."""
        return sum(cpu_seconds(pid) for parent in self.pids.values() for pid in _family(parent))

    def pause(self) -> None:
        """Stop its processes where they are, so that it takes nothing from the server whose turn it is."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in [pid for parent in self.pids.values() for pid in _family(parent)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def memory(self) -> dict[str, float]:
        """Resident megabytes by program, its children included."""
        return {name: sum(_resident(pid) for pid in _family(parent)) for name, parent in self.pids.items()}


def servers(exports: Path, model: str, baseline: Path | None = None) -> list[Server]:
    """Return the gateway in its arrangements, one process first.

    Args:
        exports: folder of all models.
        model: name of the model under load.
        baseline: checkout of an earlier state of this project, with the versions that it ships.
    """
    path = f"/v1/models/{model}:predict"
    port, two_port, baseline_port = free_ports(3)
    two = [*_embedded(exports, two_port), "--workers=2"]
    ours = [
        Server("Vitrine", {"gateway": _embedded(exports, port)}, Target(port, path)),
        Server("Vitrine, 2 workers", {"gateway": two}, Target(two_port, path)),
        _two_processes(exports, path),
    ]
    if baseline is not None:
        program = {"gateway": _embedded(baseline / "exports", baseline_port)}
        ours.append(Server("baseline", program, Target(baseline_port, path), checkout=baseline))
    return ours


def _embedded(exports: Path, port: int) -> list[str]:
    """Arguments of the gateway with the engine in its process, as ``vitrine up`` starts it."""
    return ["serving.gateway", "--host=127.0.0.1", f"--port={port}", f"--exports={exports}", "--log-level=warning"]


def _two_processes(exports: Path, path: str) -> Server:
    """Return gateway and model server, as ``vitrine up --model-server-process`` starts them."""
    port, grpc_port = free_ports(2)
    return Server(
        "Vitrine, two processes",
        {
            "model server": [
                "serving.model_server",
                f"--port={grpc_port}",
                "--host=127.0.0.1",
                f"--model_config_file={exports / 'models.config'}",
                f"--mount={MOUNT_POINT}={exports}",
                "--model_config_file_poll_wait_seconds=1",
                "--allow_version_labels_for_unavailable_models",
                "--enable_serialization_as_tensor_content",
                "--grpc_max_threads=200",
                "--max_num_load_retries=1",
                "--load_retry_interval_micros=1000000",
                "--engine=auto",
            ],
            "gateway": [
                "serving.gateway",
                "--host=127.0.0.1",
                f"--port={port}",
                f"--model-server=127.0.0.1:{grpc_port}",
                f"--models-config={exports / 'models.config'}",
                "--log-level=warning",
            ],
        },
        Target(port, path),
    )


@contextmanager
def running(server: Server, question: Question) -> Iterator[Running]:
    """The server from its start, or rather from its first right answer, to its end.

    Raises:
        ServerError: there was none.
    """
    with ExitStack() as stack:
        started = time.perf_counter()
        programs = {
            name: stack.enter_context(launched(server.python, arguments, server.checkout))
            for name, arguments in server.programs.items()
        }
        complaint = "it does not answer"
        while time.perf_counter() < started + _PATIENCE:
            for name, program in programs.items():
                if program.process.poll() is not None:
                    raise ServerError(f"{server.name}: its {name} has ended; it printed:\n{program.output()}")
            try:
                complaint = post_once(server.target, question)
            except (OSError, ValueError) as error:
                complaint = str(error)
            if not complaint:
                pids = {name: program.process.pid for name, program in programs.items()}
                ready = Running(server, pids, time.perf_counter() - started)
                try:
                    yield ready
                finally:
                    ready.resume()  # who is paused does not hear that it is to end
                return
            time.sleep(0.01)
        printed = "\n".join(program.output() for program in programs.values())
        raise ServerError(f"{server.name} has not given a right answer ({complaint}); it printed:\n{printed}")


@dataclass(frozen=True)
class _Program:
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def launched(python: str, arguments: list[str], checkout: Path = REPOSITORY) -> Iterator[_Program]:
    """Start a program in a session of its own, so that Ctrl-C reaches only the benchmark, which ends it."""
    with tempfile.TemporaryDirectory() as folder, (log := Path(folder, "log")).open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", *arguments],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _Program(process, log)
        finally:
            children = {child: _started(child) for child in _family(process.pid)[1:]}
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for child, when in children.items():  # workers that outlived it
                if when and _started(child) == when:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (proc_pid_stat(5)); none where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _family(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents = {
        int(entry.name): _stat(int(entry.name))[1:2] for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == [str(member)]]
    return family


def _started(pid: int) -> list[str]:
    """When the process started, in ticks; it tells a process from a later one of the same number."""
    return _stat(pid)[19:20]


def cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _resident(pid: int) -> float:
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if fields else 0.0
