"""Three model servers, two gateways and a client, each on its own host, and the faults that can hit them."""

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.client import Figures, LoadClient, load_arguments
from tests.faults.network import Host, network
from tests.programs import Program
from tests.serving.gateway import served_models as models

SERVERS = ("server-1", "server-2", "server-3")
GATEWAYS = ("gateway-1", "gateway-2")
LATE = "server-3"  # reads its own copy of the exports, as with a sync sidecar; the others share a volume
_PORT = 8000  # the gateway's default
_NAME = "model-server"
_COUNT = re.compile(r'^:tensorflow:serving:request_count\{model_name="shade",status="OK"\} (\d+)$', re.MULTILINE)


class Cluster:
    """Programs by the name of their host."""

    def __init__(self, hosts: dict[str, Host], root: Path, stack: contextlib.ExitStack) -> None:
        self.figures: list[Figures] = []
        self._hosts = hosts
        self._root = root
        self._stack = stack
        self._programs: dict[str, Program] = {}

    def start(self, *names: str) -> None:
        """Start servers or gateways at once, and wait until each is ready."""
        for name in names:
            arguments = _SERVER if name in SERVERS else (*_GATEWAY, f"--host={self._hosts[name].address}")
            self._run(name, *(argument.format(root=self._volume(name)) for argument in arguments))
        for name in names:
            self._programs[name].wait_for("Exporting HTTP" if name in SERVERS else "answered by version", 120)

    def publish(self, version: int, *, late: bool = False) -> None:
        """Publish a version and label it ``stable``, for the late server or for all others."""
        root = self._volume(LATE if late else SERVERS[0])
        models.shade(root, version)
        models.configure(root, {"shade": {"stable": version}})

    def kill(self, name: str) -> None:
        self._programs[name].stop(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Restart by SIGTERM, as a rolling update does."""
        assert self._programs[name].stop(timeout=60) == 0
        self.start(name)

    def cut_off(self, name: str) -> None:
        self._hosts[name].cut_off()

    def reconnect(self, name: str) -> None:
        self._hosts[name].reconnect()

    def load(self, rate: float) -> None:
        """Start the client."""
        addresses = [f"{self._hosts[name].address}:{_PORT}" for name in GATEWAYS]
        self._run("client", *load_arguments(rate, addresses))
        self.client = LoadClient(self._programs["client"])

    def output(self, name: str) -> str:
        """Return the output of a program."""
        return self._programs[name].output

    def wait_for_calls(self, name: str) -> None:
        """Wait until a server answers calls again."""
        before = self._answered(name)
        self._programs[name].wait_until(lambda: self._answered(name) > before, 120)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add a row of figures for the requests during the block."""
        counts = {one: self._answered(one) for one in SERVERS}
        started = time.monotonic()
        yield
        ended = time.monotonic()
        calls = {}
        for one in SERVERS:
            now = self._answered(one)
            calls[one] = now - counts[one] if now >= counts[one] else now  # a restart resets the counter
        shares = {one: count / max(sum(calls.values()), 1) for one, count in calls.items()}
        self.figures.append(replace(self.client.figures(name, started, ended), shares=shares))

    def _volume(self, name: str) -> Path:
        return self._root / ("late" if name == LATE else "shared")

    def _run(self, name: str, *arguments: str) -> None:
        program = self._hosts[name].start(*arguments)
        self._stack.callback(_end, program)
        self._programs[name] = program

    def _answered(self, name: str) -> int:
        page = self._hosts["client"].get(f"http://{self._hosts[name].address}:8501/metrics")
        found = _COUNT.search(page)
        return int(found[1]) if found else 0


_SERVER = (
    "-m",
    "serving.model_server",
    "--port=8500",
    "--rest_api_port=8501",
    "--model_config_file={root}/models.config",
    "--mount=/models={root}",
    f"--monitoring_config_file={Path(__file__).parent / 'monitoring.config'}",
    "--model_config_file_poll_wait_seconds=1",
    "--file_system_poll_wait_seconds=1",
    "--allow_version_labels_for_unavailable_models",
)
_GATEWAY = (
    "-m",
    "serving.gateway",
    "--insecure",
    f"--model-server={_NAME}:8500",
    "--models-config={root}/models.config",
)


@contextlib.contextmanager
def cluster(root: Path) -> Iterator[Cluster]:
    """Run all programs, with their files in an empty folder, and wait until they are ready.

    Raises:
        NetworkError: This machine cannot create hosts.
    """
    with (
        network(*SERVERS, *GATEWAYS, "client", names={_NAME: list(SERVERS)}) as hosts,
        contextlib.ExitStack() as stack,
    ):
        made = Cluster(hosts, root, stack)
        made.publish(1)
        made.publish(1, late=True)
        made.start(*SERVERS)
        made.start(*GATEWAYS)
        yield made


def _end(program: Program) -> None:
    program.process.kill()  # a program on a host without a network may not end by itself
    program.stop()
