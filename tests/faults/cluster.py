"""Three model servers, two gateways and a client, each on its own host, and the faults that can hit them."""

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.network import Host, network
from tests.programs import Program
from tests.serving.gateway import served_models as models

SERVERS = ("server-1", "server-2", "server-3")
GATEWAYS = ("gateway-1", "gateway-2")
SLOW = 1.0  # seconds
LATE = "server-3"  # reads its own copy of the exports, as with a sync sidecar; the others share a volume
_NAME = "model-server"
_COUNT = re.compile(r'^:tensorflow:serving:request_count\{model_name="shade",status="OK"\} (\d+)$', re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """The outcome of one request: answered, lost or wrong. Times are seconds of the monotonic clock."""

    sent: float
    seconds: float
    outcome: str
    reason: str
    tries: int
    version: int | None = None


@dataclass(frozen=True)
class Figures:
    """Figures of one phase.

    Attributes:
        phase: Name of the phase.
        sent: Number of requests.
        lost: Requests without a response of status 200.
        wrong: Requests with a wrong response.
        retried: Requests that the client also sent to the second gateway.
        slow: Requests that took longer than SLOW.
        slowest: Seconds of the slowest request.
        recovered: Seconds from the start of the phase to the last lost or slow request.
        shares: Each server's share of the calls, by its own counter, which a restart resets.
        reasons: Reasons of lost and wrong requests.
    """

    phase: str
    sent: int
    lost: int
    wrong: int
    retried: int
    slow: int
    slowest: float
    recovered: float
    shares: dict[str, float]
    reasons: tuple[str, ...]


class Cluster:
    """Programs by the name of their host."""

    def __init__(self, hosts: dict[str, Host], root: Path, stack: contextlib.ExitStack) -> None:
        self.figures: list[Figures] = []
        self._hosts = hosts
        self._root = root
        self._stack = stack
        self._programs: dict[str, Program] = {}
        self._lines_read = 0
        self._records: list[Record] = []

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
        addresses = [self._hosts[name].address for name in GATEWAYS]
        self._run("client", "-m", "tests.faults.load", str(rate), *addresses)

    def wait_for_answers(self, count: int, timeout: float = 120) -> None:
        """Wait until this number of requests, sent from now on, are answered."""
        now = time.monotonic()
        self._programs["client"].wait_until(
            lambda: sum(one.sent >= now and one.outcome == "answered" for one in self.records()) >= count, timeout
        )

    def wait_for_version(self, version: int, count: int) -> None:
        """Wait until this version alone has answered the latest requests."""
        self._programs["client"].wait_until(
            lambda: {one.version for one in self.records()[-count:] if one.outcome == "answered"} == {version}, 120
        )

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
        self._programs["client"].wait_until(lambda: bool(self.records()) and self.records()[-1].sent > ended, 60)
        inside = [one for one in self.records() if started <= one.sent < ended]
        failed = [one for one in inside if one.outcome != "answered"]
        late = [one for one in inside if one.outcome != "answered" or one.seconds > SLOW]
        calls = {}
        for one in SERVERS:
            now = self._answered(one)
            calls[one] = now - counts[one] if now >= counts[one] else now  # a restart resets the counter
        self.figures.append(
            Figures(
                phase=name,
                sent=len(inside),
                lost=sum(one.outcome == "lost" for one in inside),
                wrong=sum(one.outcome == "wrong" for one in inside),
                retried=sum(one.tries > 1 for one in inside),
                slow=sum(one.seconds > SLOW for one in inside),
                slowest=max(one.seconds for one in inside),
                recovered=max((one.sent - started for one in late), default=0.0),
                shares={one: count / max(sum(calls.values()), 1) for one, count in calls.items()},
                reasons=tuple(sorted({one.reason for one in failed})),
            )
        )

    def records(self) -> list[Record]:
        """Return the records of all finished requests."""
        lines = self._programs["client"].output.splitlines()
        self._records += [Record(**json.loads(line)) for line in lines[self._lines_read :]]
        self._lines_read = len(lines)
        return self._records

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
