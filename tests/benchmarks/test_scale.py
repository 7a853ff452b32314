"""The simulation of benchmarks/scale.py agrees with queueing theory."""

import math
import random
from collections.abc import Callable

import pytest

from benchmarks.scale import Clock, Cluster, Cores, Measured, desired

SERVICE = 1e-3  # mean seconds
COUNT = 60_000


def mean_wait(cores: int, load: float, service: Callable[[random.Random], float]) -> float:
    """Simulate Poisson arrivals that use the share ``load`` of the cores. Returns the mean wait in seconds."""
    clock, draw = Clock(), random.Random(7)
    queue = Cores(clock, cores)
    waits: list[float] = []

    def arrive() -> None:
        arrival, seconds = clock.now, service(draw)
        queue.work(seconds, lambda: waits.append(clock.now - arrival - seconds))
        if len(waits) < COUNT:
            clock.at(clock.now + draw.expovariate(load * cores / SERVICE), arrive)

    clock.at(0.0, arrive)
    clock.run(math.inf)
    return sum(waits) / len(waits)


def erlang_c(cores: int, load: float) -> float:
    """Compute the share of requests that wait in an M/M/c queue."""
    offered = cores * load
    busy = offered**cores / math.factorial(cores) / (1 - load)
    return busy / (sum(offered**number / math.factorial(number) for number in range(cores)) + busy)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_core_with_constant_work_is_m_d_1(load: float) -> None:
    assert mean_wait(1, load, lambda draw: SERVICE) == pytest.approx(SERVICE * load / 2 / (1 - load), rel=0.06)


@pytest.mark.parametrize("cores", [1, 4])
def test_cores_with_exponential_work_are_m_m_c(cores: int) -> None:
    load = 0.7
    wait = mean_wait(cores, load, lambda draw: draw.expovariate(1 / SERVICE))
    assert wait == pytest.approx(erlang_c(cores, load) * SERVICE / cores / (1 - load), rel=0.1)


def test_a_lone_request_takes_the_sum_of_its_parts() -> None:
    figures = Measured()
    cluster = Cluster(figures, lambda now: 1.0, 2, 2)
    cluster.clock.run(100.0)
    parts = figures.gateway_request + figures.gateway_call + figures.server_call + figures.server_row
    assert min(wait for _, wait in cluster.answered) == pytest.approx(parts)
    assert set(cluster.rows) == {1}


def test_an_overloaded_gateway_rejects_requests() -> None:
    figures = Measured(max_in_flight=64)
    cluster = Cluster(figures, lambda now: 2 / figures.gateway_request, 1, 1)
    cluster.clock.run(1.0)
    share = len(cluster.refused) / (len(cluster.refused) + len(cluster.answered))
    assert 0.5 < share < 0.8
    assert max(wait for _, wait in cluster.answered) < 0.1


def test_a_vanished_server_delays_requests_and_loses_none() -> None:
    figures = Measured()
    cluster = Cluster(figures, lambda now: 500.0, 2, 2)
    cluster.clock.at(1.0, lambda: setattr(cluster.servers.pop(0), "up", False))
    cluster.clock.run(10.0)
    assert not cluster.lost and not cluster.refused
    assert max(wait for _, wait in cluster.answered) < figures.vanished + 0.1


@pytest.mark.parametrize(
    ("replicas", "in_flight", "wanted"), [(2, 8.0, 2), (2, 17.0, 2), (2, 24.0, 3), (2, 900.0, 4), (50, 900.0, 60)]
)
def test_autoscaler(replicas: int, in_flight: float, wanted: int) -> None:
    assert desired(replicas, in_flight, target=8, most=60) == wanted
