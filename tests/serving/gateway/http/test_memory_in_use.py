"""Peak memory of the most expensive requests with default limits, for a container of 512 MiB."""

import gzip
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli
import httpx
import pytest

from benchmarks.costly_bodies import filled, png
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.programs import Gateway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

CONTAINER = 512 * 2**20
JSON = {"content-type": "application/json"}
GZIP = {**JSON, "content-encoding": "gzip"}
LINE = "/v1/models/line:predict"


@pytest.fixture(scope="module")
def gateway(models_root: Path) -> Iterator[Gateway]:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", "--deadline-seconds=60") as one,
    ):
        programs.wait_until_ready(one, "line", "shade", "trend")
        yield one


def peak(gateway: Gateway) -> int:
    """Return the gateway's peak memory in bytes."""
    lines = Path(f"/proc/{gateway.program.process.pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def bomb() -> bytes:
    packer = brotli.Compressor(quality=1, lgwin=24)
    return b"".join([*(packer.process(bytes(1_000_000)) for _ in range(100)), packer.finish()])


def history() -> bytes:
    return filled(b'{"horizon":2,"history":[1', b",1", b"]}")


def series() -> bytes:
    start = b'{"model":"trend","options":{"horizon":2},"inputs":[{"type":"univariate_time_series","name":"a",'
    return filled(start + b'"frequency":"D","series":[1', b",1", b"]}]}")


# Path, headers, body and the statuses of four at once.
COSTLY = {
    "lists by gzip": (
        LINE,
        GZIP,
        lambda: gzip.compress(filled(b'{"instances":[', b"[],1,{},", b"null]}"), 1),
        {413, 503},
    ),
    "words by gzip": (LINE, GZIP, lambda: gzip.compress(filled(b'{"instances":[', b"null,", b"null]}"), 1), {413, 503}),
    "NaN": (LINE, JSON, lambda: filled(b'{"instances":[NaN', b",0.5", b"]}"), {400, 503}),
    "ragged at the end": (LINE, JSON, lambda: filled(b'{"instances":[', b"1,", b"[1]]}"), {413, 503}),
    "one string": ("/v1/models/shade:predict", JSON, lambda: filled('{"b64":"ü€'.encode(), b"A", b'"}'), {400, 503}),
    "brotli": (LINE, {**JSON, "content-encoding": "br"}, bomb, {413, 503}),
    "a history": ("/v1/models/trend:forecast", JSON, history, {200, 503}),
    "a series": ("/v1/timeseries/forecast", JSON, series, {200, 503}),
    "25 megapixels": ("/v1/models/shade:predict", {"content-type": "image/png"}, lambda: png(4999), {400, 503}),
    "50 megapixels": ("/v1/models/shade:predict", {"content-type": "image/png"}, lambda: png(7071), {400}),
}


@pytest.mark.parametrize("name", COSTLY)
def test_four_large_requests_fit_a_small_container(gateway: Gateway, name: str) -> None:
    path, headers, make_body, allowed = COSTLY[name]
    body = make_body()

    def post(_: int) -> httpx.Response:
        return httpx.post(gateway.url + path, content=body, headers=headers, timeout=100)

    with ThreadPoolExecutor(4) as threads:
        responses = list(threads.map(post, range(4)))
    statuses = Counter(response.status_code for response in responses)
    assert statuses.keys() <= allowed, [response.text[:300] for response in responses]
    assert statuses.keys() != {503}  # at least one is accepted
    assert all(response.headers["retry-after"] for response in responses if response.status_code == 503)
    assert peak(gateway) < CONTAINER
    assert gateway.http.post(LINE, json={"instances": [[1.0, 2.0, 3.0]]}).status_code == 200


def test_large_requests_of_different_kinds_fit(gateway: Gateway) -> None:
    with ThreadPoolExecutor(len(COSTLY)) as threads:
        pending = [
            threads.submit(httpx.post, gateway.url + path, content=make_body(), headers=headers, timeout=100)
            for path, headers, make_body, _ in COSTLY.values()
        ]
        responses = [one.result() for one in pending]
    assert {response.status_code for response in responses} <= {200, 400, 413, 503}
    assert peak(gateway) < CONTAINER


def test_the_budget_is_a_setting(models_root: Path) -> None:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", "--max-bytes-in-flight=3000000") as small,
    ):
        programs.wait_until_ready(small, "line", "shade")
        for path, body in ((LINE, b'{"inputs":[' + b"1," * 750_000 + b"1]}"), ("/v1/models/shade:predict", png(1500))):
            response = small.http.post(path, content=body)
            assert response.status_code == 413
            assert "bytes of memory when it is decoded, but at most 3000000 are available" in response.json()["error"]
        assert small.http.post(LINE, json={"instances": [[1.0, 2.0, 3.0]]}).status_code == 200


def test_non_finite_numbers_in_large_bodies(gateway: Gateway) -> None:
    body = b'{"instances":[%b]}' % b",".join([b" " * 2100 + b"[NaN, Infinity, -Infinity]"] * 128)
    assert len(body) > 262_144
    small = gateway.http.post(LINE, content=body.replace(b" ", b""), headers=JSON)
    large = gateway.http.post(LINE, content=body, headers=JSON)
    assert small.status_code == large.status_code
    assert small.json() == large.json()
