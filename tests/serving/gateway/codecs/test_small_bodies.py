"""Bodies below 256 KiB, which the gateway reads in its event loop, with as many values as fit."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.programs import Gateway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and time are read from /proc")

SIZE = 260_000
SERIES = b'{"type":"univariate_time_series","name":"a","frequency":"D","series":[1,2,3]%b}'
EXAMPLES = "/v1/models/line:classify"
TIMES = "/v1/timeseries/forecast"


def filled(start: bytes, item: bytes, end: bytes) -> bytes:
    return start + item * ((SIZE - len(start) - len(end)) // len(item)) + end


def keys(count: int) -> bytes:
    return b"".join([b',"%x":1' % number for number in range(count)])


BODIES = {
    "series without keys": (TIMES, filled(b'{"model":"trend","options":{"horizon":2},"inputs":[{}', b",{}", b"]}")),
    "series of many keys": (
        TIMES,
        b'{"model":"trend","options":{"horizon":2},"inputs":[%b]}' % (SERIES % keys(20_000)),
    ),
    "quantiles that are words": (
        TIMES,
        filled(b'{"model":"trend","options":{"horizon":2,"quantiles":[0.5', b',"x"', b']},"inputs":[%b]}')
        % (SERIES % b""),
    ),
    "examples": (EXAMPLES, filled(b'{"examples":[{"a":1}', b',{"a":1}', b"]}")),
    "features": (EXAMPLES, b'{"examples":[{"a":1%b}]}' % keys(20_000)),
    "a context of numbers": (
        EXAMPLES,
        b'{"context":{"x":[1%b]},"examples":[{}%b]}' % (b",1" * 100_000, b",{}" * 18_000),
    ),
    "a context of features": (
        EXAMPLES,
        b'{"context":{"a":1%b},"examples":[{}%b]}' % (keys(10_000), b",{}" * 50_000),
    ),
    "a long name of a model": (TIMES, filled(b'{"model":"', b"\x7f", b'","options":{},"inputs":[]}')),
    "a long name of a signature": (
        "/v1/models/line:predict",
        filled(b'{"signature_name":"', b"\x7f", b'","instances":[1]}'),
    ),
    "a long key": ("/v1/models/trend:forecast", filled(b'{"', b"a", b'":1}')),
}


@pytest.fixture(scope="module")
def gateway(models_root: Path) -> Iterator[Gateway]:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", "--deadline-seconds=60") as one,
    ):
        programs.wait_until_ready(one, "line", "trend")
        yield one


def megabytes(gateway: Gateway, name: str) -> float:
    lines = Path(f"/proc/{gateway.program.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


def processor_seconds(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", BODIES)
def test_a_small_body_takes_little_time_and_memory(gateway: Gateway, name: str) -> None:
    path, body = BODIES[name]
    Path(f"/proc/{gateway.program.process.pid}/clear_refs").write_text("5")  # resets the peak to the current size
    before, began = megabytes(gateway, "VmRSS"), processor_seconds(gateway)
    answer = gateway.http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404, 413), answer.text[:300]
    assert len(answer.content) < 10_000
    assert processor_seconds(gateway) - began < 0.6
    assert megabytes(gateway, "VmHWM") - before < 200
