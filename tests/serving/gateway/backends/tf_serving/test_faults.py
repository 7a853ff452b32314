"""Failures and changes that the gateway survives without a restart."""

import contextlib
import errno
import itertools
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.programs import free_port, model_server, model_server_program
from tests.serving.gateway import programs
from tests.serving.gateway import served_models as models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway

EMBED = "/v1/models/shade:embed"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    models.shade(tmp_path, 1)
    models.configure(tmp_path, {"shade": {"stable": 1}})
    return tmp_path


@pytest.fixture
def pair(root: Path) -> Iterator[Gateway]:
    with (
        model_server(root, *programs.PROMPT) as address,
        programs.gateway(address, root / "models.config") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        yield gateway


def version(gateway: Gateway, path: str = EMBED) -> int:
    response = gateway.http.post(path, content=picture())
    assert response.status_code == 200, response.text
    assert response.json()["embeddings"][0][1] == response.json()["version"]  # the model returns its version as well
    return int(response.headers["x-model-version"])


def test_model_server_restarts(root: Path) -> None:
    port = free_port()
    with programs.gateway(f"127.0.0.1:{port}", root / "models.config") as gateway:
        gateway.program.wait_for("model shade: the model server at")
        response = gateway.http.post(EMBED, content=picture())
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["code"] == "unavailable"
        assert gateway.http.get("/readyz").status_code == 503
        assert gateway.http.get("/livez").status_code == 200

        with model_server(root, *programs.PROMPT, port=port):
            programs.wait_until_ready(gateway, "shade")
            assert version(gateway) == 1
            assert gateway.http.get("/readyz").status_code == 200

        down = gateway.http.post(EMBED, content=picture())
        assert down.status_code == 503
        assert down.headers["retry-after"] == "1"
        assert f"127.0.0.1:{port}" in down.json()["error"]

        with model_server(root, *programs.PROMPT, port=port):
            gateway.program.wait_for("model shade: recovered")
            while (response := gateway.http.post(EMBED, content=picture())).status_code == 503:
                assert response.headers["retry-after"]
            assert version(gateway) == 1
        assert "Traceback" not in gateway.program.output


def test_new_version_and_moved_label_lose_no_request(pair: Gateway, root: Path) -> None:
    """All concurrent requests are answered, first by version 1, in the end by version 2."""
    versions: list[list[int]] = [[] for _ in range(4)]
    failed: list[str] = []
    started, stop = threading.Barrier(5, timeout=20), threading.Event()

    def embed(versions_of_caller: list[int]) -> None:
        with httpx.Client(base_url=pair.url) as client:
            while not stop.is_set():
                response = client.post(EMBED, content=picture())
                if response.status_code == 200:
                    versions_of_caller.append(response.json()["version"])
                else:
                    failed.append(response.text)
                if len(versions_of_caller) + len(failed) == 1:
                    started.wait()

    callers = [threading.Thread(target=embed, args=(versions_of_caller,)) for versions_of_caller in versions]
    for caller in callers:
        caller.start()
    started.wait()
    models.shade(root, 2)
    models.configure(root, {"shade": {"stable": 2}})
    pair.program.wait_for("answered by version 2")
    (root / "shade" / "1").rename(root / "shade" / "1.gone")
    while pair.http.post("/v1/models/shade/versions/1:embed", content=picture()).status_code == 200:
        pass
    stop.set()
    for caller in callers:
        caller.join()
    assert not failed
    for versions_of_caller in versions:
        assert versions_of_caller == sorted(versions_of_caller)
        assert {versions_of_caller[0], versions_of_caller[-1]} == {1, 2}
    assert version(pair, "/v1/models/shade/labels/stable:embed") == 2
    gone = pair.http.post("/v1/models/shade/versions/1:embed", content=picture())
    assert gone.status_code == 404
    assert "available: 2" in gone.json()["error"]


@pytest.mark.parametrize(("text", "problem"), [("model_config_list { nonsense", "Error parsing"), ("", "is empty")])
def test_broken_models_config_is_ignored(pair: Gateway, root: Path, text: str, problem: str) -> None:
    (root / "models.config").write_text(text)
    while problem not in str(pair.http.get("/readyz").json()):
        pass
    assert version(pair) == 1
    assert pair.http.get("/readyz").status_code == 200
    models.trend(root, 1)
    models.configure(root, {"shade": {"stable": 1}, "trend": {}})
    pair.program.wait_for("model trend: requests that name no version are answered by version 1")
    assert [model["name"] for model in pair.http.get("/v1/models").json()["models"]] == ["shade", "trend"]
    models.configure(root, {"shade": {"stable": 1}})
    while len(pair.http.get("/v1/models").json()["models"]) > 1:
        pass
    assert pair.http.post("/v1/models/trend:predict", json={"history": [1, 2, 3, 4]}).status_code == 404


def test_concurrent_callers_get_their_own_responses(pair: Gateway) -> None:
    """Each caller gets the brightness of its own picture, although calls are merged."""
    numbers = itertools.count()
    wrong: list[object] = []

    def embed() -> None:
        with httpx.Client(base_url=pair.url) as client:
            while (number := next(numbers)) < 1500:
                value = 5 + number % 115  # darker pictures are blank
                response = client.post(EMBED, content=picture(value))
                if response.status_code != 200 or response.json()["embeddings"][0][0] != value:
                    wrong.append((value, response.text))

    callers = [threading.Thread(target=embed) for _ in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    calls = pair.http.get("/metrics").text
    count = next(line for line in calls.splitlines() if line.startswith('vitrine_batch_rows_count{model="shade"}'))
    assert float(count.split()[-1]) < 1500  # some requests shared a call


def test_forecasts_of_different_horizons_are_cropped_to_each(tmp_path: Path) -> None:
    models.trend(tmp_path, 1)
    models.configure(tmp_path, {"trend": {}})
    wrong: list[object] = []
    with (
        model_server(tmp_path, *programs.PROMPT) as address,
        programs.gateway(address, tmp_path / "models.config") as gateway,
    ):
        programs.wait_until_ready(gateway, "trend")

        def forecast(first: int) -> None:
            with httpx.Client(base_url=gateway.url) as client:
                for horizon in (first, 50, 1, 7):
                    response = client.post(
                        "/v1/models/trend:forecast", json={"history": [0, 0, 0, first], "horizon": horizon}
                    ).json()
                    if response["forecasts"][0]["mean"] != [first + step for step in range(1, horizon + 1)]:
                        wrong.append(response)

        callers = [threading.Thread(target=forecast, args=(number,)) for number in range(1, 25)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not wrong


@contextlib.contextmanager
def hanging(root: Path, *flags: str) -> Iterator[Gateway]:
    """A gateway whose model server hangs, with a limit of two requests for a model."""
    with (
        model_server_program(root, *programs.PROMPT) as (address, server),
        programs.gateway(address, root / "models.config", "--max-in-flight=2", *flags) as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        server.process.send_signal(signal.SIGSTOP)
        try:
            yield gateway
        finally:
            server.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def requests_in_flight(gateway: Gateway, count: int) -> Iterator[None]:
    """Keep this many requests in flight, from another address than the test's."""
    url, body = httpx.URL(gateway.url), picture()
    head = f"POST {EMBED} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = socket.create_connection((url.host, url.port or 80), 20, source_address=("127.0.0.2", 0))
            stack.enter_context(connection).sendall(head + body)
        until(lambda: f"vitrine_in_flight {count}.0" in gateway.http.get("/metrics").text)
        yield


def test_requests_over_the_limit_are_rejected_at_once(root: Path) -> None:
    with hanging(root, "--max-share=1") as gateway, requests_in_flight(gateway, 2):
        full = gateway.http.post(EMBED, content=picture())
        assert full.status_code == 503
        assert full.headers["retry-after"] == "1"
        assert full.json()["code"] == "overloaded"
        page = gateway.http.get("/metrics").text
        assert 'vitrine_refused_total{model="shade",reason="overloaded_in_flight"} 1.0' in page


def test_share_of_an_address(root: Path) -> None:
    with hanging(root) as gateway, requests_in_flight(gateway, 1), httpx.Client(transport=own_address()) as same:
        full = same.post(gateway.url + EMBED, content=picture())
        assert full.status_code == 503
        assert "address 127.0.0.2 has 1 requests in flight for model shade" in full.json()["error"]
        other = gateway.http.post(EMBED, content=picture(), headers={"X-Request-Timeout": "300ms"})
        assert other.status_code == 504  # it is admitted, but the model server hangs
        page = gateway.http.get("/metrics").text
        assert 'vitrine_refused_total{model="shade",reason="overloaded_share"} 1.0' in page


def own_address() -> httpx.HTTPTransport:
    return httpx.HTTPTransport(local_address="127.0.0.2")


def test_incomplete_bodies_take_no_slot(root: Path) -> None:
    with (
        model_server(root, *programs.PROMPT) as address,
        programs.gateway(address, root / "models.config", "--max-in-flight=1") as gateway,
        contextlib.ExitStack() as stack,
    ):
        programs.wait_until_ready(gateway, "shade")
        for _ in range(50):
            stack.enter_context(half_sent(gateway))
        until(lambda: "vitrine_in_flight 50.0" in gateway.http.get("/metrics").text)
        assert gateway.http.post(EMBED, content=picture()).status_code == 200


def test_body_that_is_too_late(root: Path) -> None:
    config = root / "models.config"
    with (
        model_server(root, *programs.PROMPT) as address,
        programs.gateway(address, config, "--deadline-seconds=1", "--max-in-flight=1") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        with half_sent(gateway) as connection:
            response = connection.recv(65536)
            assert response.startswith(b"HTTP/1.1 408 ")
            assert b'"code":"too_late"' in response
            while gateway.http.post(EMBED, content=picture()).status_code == 504:
                pass  # a busy machine may need longer than the deadline
            assert version(gateway) == 1


def test_shutdown_finishes_requests_in_flight(pair: Gateway) -> None:
    """SIGTERM closes the port, an incomplete request is still answered, and the exit code is 0."""
    body = picture()
    with half_sent(pair, body) as connection:
        while b"vitrine_in_flight 1.0" not in pair.http.get("/metrics").content:
            pass
        pair.program.process.send_signal(signal.SIGTERM)
        pair.program.wait_for("Shutting down")
        until(lambda: refuses(pair))
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert pair.program.process.wait(20) == 0
    assert "Traceback" not in pair.program.output


def refuses(gateway: Gateway) -> bool:
    url = httpx.URL(gateway.url)
    with socket.socket() as connection:
        return connection.connect_ex((url.host, url.port or 80)) == errno.ECONNREFUSED


@contextlib.contextmanager
def half_sent(gateway: Gateway, body: bytes | None = None) -> Iterator[socket.socket]:
    """A connection with the beginning of a request body."""
    body = body or picture()
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        head = f"POST {EMBED} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:10])
        yield connection


def test_half_close_in_the_middle_of_a_body_is_a_disconnect(root: Path) -> None:
    with (
        model_server(root, *programs.PROMPT) as address,
        programs.gateway(address, root / "models.config", "--max-in-flight=1") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        with half_sent(gateway):
            until(lambda: "vitrine_in_flight 1.0" in gateway.http.get("/metrics").text)
        until(lambda: "vitrine_in_flight 0.0" in gateway.http.get("/metrics").text)
        assert version(gateway) == 1
        page = gateway.http.get("/metrics").text
        assert 'vitrine_refused_total{model="shade",reason="client_gone"} 1.0' in page


def test_replica_that_loads_a_version_later_loses_no_request(root: Path, tmp_path: Path) -> None:
    late = tmp_path / "late"
    shutil.copytree(root, late, ignore=shutil.ignore_patterns("late"))
    with (
        model_server(root, *programs.PROMPT) as first,
        model_server(late, *programs.PROMPT) as second,
        programs.gateway(f"{first},{second}", root / "models.config") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        models.shade(root, 2)
        models.configure(root, {"shade": {"stable": 2}})
        versions: list[int] = []
        while len(versions) < 100 or set(versions) == {1}:
            versions.append(version(gateway))
        assert set(versions) == {1, 2}
        models.shade(late, 2)
        models.configure(late, {"shade": {"stable": 2}})
        while version(gateway) == 1:
            pass
