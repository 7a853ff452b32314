"""Simulate the capacity model of docs/operations/scale.md: gateways, model servers, autoscaler and faults.

    python -m benchmarks.scale [--plot docs/operations/scale.png]

Requests arrive as a Poisson process. Each gateway is one event loop that decodes requests and batches the waiting ones
into calls, which go to the model servers in turn. Most inputs are measured; assumptions about the cluster are marked.
The seed is fixed, so equal code gives equal figures. It takes about a minute.
"""

import argparse
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serving.gateway.inference.dynamic_batching import rows_per_call


@dataclass(frozen=True)
class Measured:
    """Inputs: seconds on one core of the machine in benchmarks/README.md. Sources: docs/operations/scale.md."""

    gateway_request: float = 93e-6
    gateway_call: float = 480e-6
    server_call: float = 200e-6  # TensorFlow Serving
    server_row: float = 81e-6
    server_cores: int = 2
    calls_per_gateway: int = 2
    max_rows: int = 128
    max_in_flight: int = 1024
    vanished: float = 2.0  # until calls to a vanished host are retried, see tests/faults
    pod_start: float = 10.0  # assumption: image on the node, scheduling, start (.6 s), readiness probes
    sync: float = 15.0  # Kubernetes' default for the autoscaler and a usual scrape interval


class Clock:
    """Runs events in the order of their times, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()


class Cores:
    """A queue, first come first served, for a number of cores."""

    def __init__(self, clock: Clock, cores: int) -> None:
        self._clock = clock
        self._free_at = [0.0] * cores
        self.busy = 0.0

    def work(self, seconds: float, done: Callable[[], None]) -> None:
        """Use one core for ``seconds`` as soon as one is free, then call ``done``."""
        end = max(self._clock.now, self._free_at[0]) + seconds
        heapq.heapreplace(self._free_at, end)
        self.busy += seconds
        self._clock.at(end, done)


@dataclass(eq=False)
class Server:
    cores: Cores
    up: bool = True


class Gateway:
    """A gateway process. Requests are represented by their arrival times."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.loop = Cores(cluster.clock, 1)
        self.in_flight = 0
        self.up = True
        self._free = cluster.figures.calls_per_gateway
        self._called = 0
        self._waiting: deque[float] = deque()

    def request(self) -> None:
        arrival = self._cluster.clock.now
        if self.in_flight >= self._cluster.figures.max_in_flight:
            self._cluster.refused.append(arrival)
            return
        self.in_flight += 1
        self.loop.work(self._cluster.figures.gateway_request, lambda: self._decoded(arrival))

    def _decoded(self, arrival: float) -> None:
        self._waiting.append(arrival)
        self._call_if_free()

    def _call_if_free(self) -> None:
        if self._free and self._waiting:
            self._free -= 1
            self.loop.work(self._cluster.figures.gateway_call, self._send_batch)

    def _send_batch(self) -> None:
        """Send the waiting requests, or a share of many, in one call."""
        most = rows_per_call(len(self._waiting) + self._called, self._cluster.figures.max_rows)
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]
        if batch:
            self._called += len(batch)
            self._cluster.rows.append(len(batch))
            self._call(batch)
        else:
            self._free += 1

    def _call(self, batch: list[float]) -> None:
        server = self._cluster.next_server()
        seconds = self._cluster.figures.server_call + self._cluster.figures.server_row * len(batch)
        server.cores.work(seconds, lambda: self._answered(server, batch))

    def _answered(self, server: Server, batch: list[float]) -> None:
        clock = self._cluster.clock
        if not server.up:  # it vanished during the call: retry after detection
            clock.at(clock.now + self._cluster.figures.vanished, lambda: self._call(batch))
            return
        self._free += 1
        self._called -= len(batch)
        self.in_flight -= len(batch)
        if self.up:
            self._cluster.answered += [(arrival, clock.now - arrival) for arrival in batch]
        else:
            self._cluster.lost += batch
        self._call_if_free()


@dataclass
class Cluster:
    """Gateways and model servers under a load of ``rate(time)`` requests per second."""

    figures: Measured
    rate: Callable[[float], float]
    gateways_at_first: int
    servers_at_first: int
    target: float | None = None  # the autoscaler's, requests in flight by gateway; None: no autoscaler
    most: int = 60
    clock: Clock = field(default_factory=Clock)
    gateways: list[Gateway] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)
    answered: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)
    _starting: int = 0
    _turn: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(1)
        self.gateways += [Gateway(self) for _ in range(self.gateways_at_first)]
        self.servers += [Server(Cores(self.clock, self.figures.server_cores)) for _ in range(self.servers_at_first)]
        self._samples: list[float] = []
        self.clock.at(0.0, self._arrive)
        self.clock.at(0.0, self._sample)
        if self.target is not None:
            self.clock.at(self.figures.sync, self._scale)

    def next_server(self) -> Server:
        self._turn += 1
        return self.servers[self._turn % len(self.servers)]

    def lose_node(self) -> None:
        """Remove a gateway, which loses its requests, and a model server, whose calls are retried."""
        self.gateways.pop(0).up = False
        self.servers.pop(0).up = False
        self.clock.at(self.clock.now + self.figures.pod_start, self._replace)

    def roll(self) -> None:
        """Replace each gateway in turn: start the new one, then let the old one finish its requests."""
        for number in range(len(self.gateways)):
            self.clock.at(self.clock.now + (number + 1) * self.figures.pod_start, self._swap)

    def _swap(self) -> None:
        self.gateways.append(Gateway(self))
        self.gateways.pop(0)

    def _replace(self) -> None:
        self.gateways.append(Gateway(self))
        self.servers.append(Server(Cores(self.clock, self.figures.server_cores)))

    def _arrive(self) -> None:
        self._random.choice(self.gateways).request()
        self.clock.at(self.clock.now + self._random.expovariate(self.rate(self.clock.now)), self._arrive)

    def _sample(self) -> None:
        self.replicas.append((self.clock.now, len(self.gateways)))
        self._samples.append(sum(gateway.in_flight for gateway in self.gateways))
        self.clock.at(self.clock.now + 0.25, self._sample)

    def _scale(self) -> None:
        """Scale like the horizontal pod autoscaler, by the mean of the samples since the last time."""
        assert self.target is not None
        wanted = desired(len(self.gateways) + self._starting, float(np.mean(self._samples)), self.target, self.most)
        self._samples.clear()
        new = wanted - len(self.gateways) - self._starting
        for _ in range(max(new, 0)):
            self._starting += 1
            self.clock.at(self.clock.now + self.figures.pod_start, self._started)
        self.clock.at(self.clock.now + self.figures.sync, self._scale)

    def _started(self) -> None:
        self._starting -= 1
        self.gateways.append(Gateway(self))
        while len(self.gateways) > 2 * len(self.servers):  # one model server of two cores for two gateways
            self.servers.append(Server(Cores(self.clock, self.figures.server_cores)))


def desired(replicas: int, in_flight: float, target: float, most: int) -> int:
    """Compute the replicas that the autoscaler wants: at most double, and unchanged within a tolerance of 10 %.

    It never scales down here, because that takes minutes.
    """
    ratio = in_flight / replicas / target
    return replicas if ratio <= 1.1 else min(most, 2 * replicas, int(np.ceil(replicas * ratio)))


def percentiles(cluster: Cluster, start: float = 0.0, end: float = float("inf")) -> tuple[float, float]:
    """Compute p50 and p99, in milliseconds, of the requests that arrived in this time."""
    found = [seconds for arrival, seconds in cluster.answered if start <= arrival < end]
    return tuple(np.percentile(found, (50, 99)) * 1e3) if found else (float("nan"), float("nan"))


def steady(figures: Measured, rate: float, gateways: int, servers: int, seconds: float) -> str:
    """Simulate a constant rate. Returns a table row."""
    cluster = Cluster(figures, lambda now: rate, gateways, servers)
    cluster.clock.run(seconds)
    p50, p99 = percentiles(cluster, seconds / 5)
    busy = sum(one.loop.busy for one in cluster.gateways) / gateways / seconds
    cores = sum(one.cores.busy for one in cluster.servers) / servers / figures.server_cores / seconds
    in_flight = np.mean(cluster._samples) / gateways
    cells = f"{rate:,.0f}", gateways, servers, f"{busy:.0%}", f"{cores:.0%}", f"{np.mean(cluster.rows):.1f}"
    return _row(*cells, f"{in_flight:.1f}", f"{p50:.1f}", f"{p99:.1f}", len(cluster.refused))


def changing(name: str, cluster: Cluster, seconds: float) -> str:
    """Simulate a cluster with an event. Returns a table row."""
    cluster.clock.run(seconds)
    p50, p99 = percentiles(cluster)
    whole = len(cluster.answered) + len(cluster.refused) + len(cluster.lost)
    slow = sum(wait > 0.5 for _, wait in cluster.answered)
    last = max((arrival for arrival, wait in cluster.answered if wait > 0.1), default=0.0)
    last = max([last, *cluster.refused, *cluster.lost])
    refused = f"{len(cluster.refused) / whole:.2%}"
    replicas = f"{cluster.replicas[0][1]} → {cluster.replicas[-1][1]}"
    return _row(name, whole, refused, len(cluster.lost), slow, f"{p50:.1f}", f"{p99:.1f}", f"{last:.0f}", replicas)


def step(figures: Measured, target: float) -> Cluster:
    """Make a cluster whose load exceeds two gateways from second 5 on."""
    return Cluster(figures, lambda now: 1000.0 if now < 5 else 22_000.0, 2, 2, target)


def plot(cluster: Cluster, path: Path) -> None:
    """Plot the p99 of each second and the number of gateways."""
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.5), sharex=True)
    seconds: dict[int, list[float]] = {}
    for arrival, wait in cluster.answered:
        seconds.setdefault(int(arrival), []).append(wait * 1e3)
    times = sorted(seconds)
    above.plot(times, [np.percentile(seconds[time], 99) for time in times])
    below.step(*zip(*cluster.replicas, strict=True), where="post")
    above.set(yscale="log", ylabel="p99 of each second, ms")
    below.set(xlabel="seconds; load rises from 1,000 to 22,000 a second at 5", ylabel="gateways")
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    figures = Measured()
    head = "requests/s", "gateways", "servers", "gateways busy", "server cores busy", "rows a call"
    _table(*head, "in flight a gateway", "p50 ms", "p99 ms", "refused")
    # A load of 100,000 per second is like 25 times 4,000, because each request chooses its gateway at random.
    for rate, gateways, servers in (
        (10, 2, 2),
        (1000, 2, 2),
        (1000, 1, 1),
        (2000, 1, 1),
        (3000, 1, 1),
        (4000, 1, 1),
        (5000, 1, 1),
        (6000, 1, 1),
        (8000, 1, 1),
        (8000, 2, 1),
        (12000, 3, 1),
    ):
        print(steady(figures, float(rate), gateways, servers, max(4.0, min(200.0, 20_000 / rate))), flush=True)
    print()
    _table(
        "event",
        "requests",
        "refused",
        "lost",
        "over .5 s",
        "p50 ms",
        "p99 ms",
        "last slow, refused or lost at s",
        "gateways",
    )
    lost = Cluster(figures, lambda now: 3000.0, 3, 3)
    lost.clock.at(5.0, lost.lose_node)
    print(changing("3,000/s, a node vanishes at 5 s", lost, 20.0), flush=True)
    rolled = Cluster(figures, lambda now: 3000.0, 2, 2)
    rolled.clock.at(1.0, rolled.roll)
    print(changing("3,000/s, gateways are rolled", rolled, 25.0), flush=True)
    rising = step(figures, 8)
    print(changing("1,000 → 22,000/s at 5 s, autoscaled", rising, 50.0), flush=True)
    if options.plot:
        plot(rising, options.plot)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _table(*head: str) -> None:
    print(_row(*head), _row(*["---"] * len(head)), sep="\n")


if __name__ == "__main__":
    main()
