"""Three model servers and two gateways, each on a host of its own, a client beside them, and what can befall them."""

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
LATE = "server-3"  # reads a copy of the exports, as behind a sync sidecar, while all else share one volume
_NAME = "model-server"
_COUNT = re.compile(r'^:tensorflow:serving:request_count\{model_name="shade",status="OK"\} (\d+)$', re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """What came of one request. Times are the machine's monotonic clock's, in seconds."""

    sent: float
    seconds: float
    outcome: str
    why: str
    tries: int
    version: int | None = None


@dataclass(frozen=True)
class Figures:
    """One phase. ``elsewhere`` are requests that the second gateway was asked too; ``slow`` those that took longer than
    SLOW; ``recovered`` how many seconds after its beginning the last request was sent that was lost or slow; ``shares``
    how much of the calls each server answered, by its own count, which a server that started anew began again."""

    phase: str
    sent: int
    lost: int
    wrong: int
    elsewhere: int
    slow: int
    slowest: float
    recovered: float
    shares: dict[str, float]
    why: tuple[str, ...]


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
        """Those servers or gateways, all at once; returns when each can be asked."""
        for name in names:
            arguments = _SERVER if name in SERVERS else (*_GATEWAY, f"--host={self._hosts[name].address}")
            self._run(name, *(argument.format(root=self._volume(name)) for argument in arguments))
        for name in names:
            self._programs[name].wait_for("Exporting HTTP" if name in SERVERS else "answered by version", 120)

    def publish(self, version: int, *, late: bool = False) -> None:
        """A version and the label ``stable`` on it, for the server that is late or for all the others."""
        root = self._volume(LATE if late else SERVERS[0])
        models.shade(root, version)
        models.configure(root, {"shade": {"stable": version}})

    def kill(self, name: str) -> None:
        self._programs[name].stop(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """By SIGTERM, as a rolling update does."""
        assert self._programs[name].stop(timeout=60) == 0
        self.start(name)

    def cut_off(self, name: str) -> None:
        self._hosts[name].cut_off()

    def reconnect(self, name: str) -> None:
        self._hosts[name].reconnect()

    def load(self, rate: float) -> None:
        """The client begins."""
        addresses = [self._hosts[name].address for name in GATEWAYS]
        self._run("client", "-m", "tests.faults.load", str(rate), *addresses)

    def wait_for_answers(self, count: int, timeout: float = 120) -> None:
        """Until so many requests have been answered that are sent from now on."""
        now = time.monotonic()
        self._programs["client"].wait_until(
            lambda: sum(one.sent >= now and one.outcome == "answered" for one in self.records()) >= count, timeout
        )

    def wait_for_version(self, version: int, count: int) -> None:
        """Until so many of the last requests have been answered by that version and none by another."""
        self._programs["client"].wait_until(
            lambda: {one.version for one in self.records()[-count:] if one.outcome == "answered"} == {version}, 120
        )

    def said(self, name: str) -> str:
        """What that program has printed."""
        return self._programs[name].output

    def wait_for_work(self, name: str) -> None:
        """Until that server answers calls (again)."""
        before = self._answered(name)
        self._programs[name].wait_until(lambda: self._answered(name) > before, 120)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What happens within is one row of the figures."""
        counts = {one: self._answered(one) for one in SERVERS}
        begun = time.monotonic()
        yield
        ended = time.monotonic()
        self._programs["client"].wait_until(lambda: bool(self.records()) and self.records()[-1].sent > ended, 60)
        inside = [one for one in self.records() if begun <= one.sent < ended]
        bad = [one for one in inside if one.outcome != "answered"]
        late = [one for one in inside if one.outcome != "answered" or one.seconds > SLOW]
        calls = {}
        for one in SERVERS:
            now = self._answered(one)
            calls[one] = now - counts[one] if now >= counts[one] else now  # it may have started anew
        self.figures.append(
            Figures(
                phase=name,
                sent=len(inside),
                lost=sum(one.outcome == "lost" for one in inside),
                wrong=sum(one.outcome == "wrong" for one in inside),
                elsewhere=sum(one.tries > 1 for one in inside),
                slow=sum(one.seconds > SLOW for one in inside),
                slowest=max(one.seconds for one in inside),
                recovered=max((one.sent - begun for one in late), default=0.0),
                shares={one: count / max(sum(calls.values()), 1) for one, count in calls.items()},
                why=tuple(sorted({one.why for one in bad})),
            )
        )

    def records(self) -> list[Record]:
        """Of all requests that have ended."""
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
    """Everything up and ready, with files in an empty folder.

    Raises:
        NetworkError: there can be no hosts here.
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
    program.process.kill()  # what is to end gently has been ended; a host that is cut off could keep it waiting
    program.stop()
