"""Several workers as real processes behind one port."""

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from serving.gateway.models.signature import TensorSpec
from serving.gateway.workers import limits, listening
from serving.gateway.workers.supervisor import next_backoff
from serving.tfs_api import messages
from tests.programs import free_port, model_server, running
from tests.serving.gateway import programs, stub
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

SIGNATURE = stub.echo("serving_default", TensorSpec("x", messages.DT_FLOAT, (None, 2)))
PATH, ROW = "/v1/models/echo:predict", {"instances": [[1, 2]]}
READY = "workers serve on port"


class EchoServer(stub.Stub):
    """Echoes; calls wait for events that a test sets."""

    def __init__(self) -> None:
        super().__init__({"echo": {"serving_default": SIGNATURE}})
        self.metadata_calls = 0
        self.let_metadata_through, self.let_predict_through = threading.Event(), threading.Event()
        self.let_metadata_through.set()
        self.let_predict_through.set()
        self.waiting = threading.Semaphore(0)

    def metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata_calls += 1
        if self.metadata_calls > 1:
            self.let_metadata_through.wait(30)
        return super().metadata(request, context)

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.waiting.release()
        self.let_predict_through.wait(30)
        return super().predict(request, context)


@contextlib.contextmanager
def workers(server: stub.Stub, *flags: str, count: int = 2, ready: str = READY) -> Iterator[Gateway]:
    arguments = ("--models=echo", f"--workers={count}", *flags)
    with stub.serving(server) as address, programs.gateway(address, Path("none"), *arguments, ready=ready) as one:
        yield one


def pids(gateway: Gateway) -> list[int]:
    """Process ids of the workers, in the order of their numbers, as last logged."""
    found = re.findall(r"workers serve on port \d+: pids ([\d, ]+)", gateway.program.output)
    return [int(pid) for pid in found[-1].split(", ")]


def worker_of(response: httpx.Response) -> str:
    """What all answers of one worker have in common."""
    return response.headers["x-request-id"].partition("-")[0]


@contextlib.contextmanager
def client_of_each(gateway: Gateway, count: int = 2) -> Iterator[dict[str, httpx.Client]]:
    """One kept connection to each worker."""
    with contextlib.ExitStack() as stack:
        found: dict[str, httpx.Client] = {}
        until = time.monotonic() + 60
        while len(found) < count and time.monotonic() < until:
            client = stack.enter_context(httpx.Client(base_url=gateway.url, timeout=30))
            found.setdefault(worker_of(client.get("/livez")), client)
        assert len(found) == count
        yield found


def samples(gateway: Gateway) -> dict[str, float]:
    """The metrics page by a client of its own, so that any worker may answer."""
    page = httpx.get(f"{gateway.url}/metrics", timeout=10)
    assert page.status_code == 200, page.text
    lines = [line.rpartition(" ") for line in page.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def predicted(found: dict[str, float]) -> float:
    return found.get('vitrine_requests_total{code="200",model="echo",verb="predict",version="1"}', 0)


def serving(gateway: Gateway) -> float:
    return samples(gateway)['vitrine_workers{state="serving"}']


def wait_until(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_all_workers_answer_and_each_shows_the_sum(tmp_path: Path) -> None:
    with workers(EchoServer(), count=3) as one, client_of_each(one, 3) as clients:
        for number, client in enumerate(clients.values(), 1):
            for _ in range(number):
                assert client.post(PATH, json=ROW).status_code == 200
        for client in clients.values():
            page = client.get("/metrics").text
            assert 'vitrine_requests_total{code="200",model="echo",verb="predict",version="1"} 6.0' in page
            assert 'vitrine_request_seconds_count{model="echo",verb="predict"} 6.0' in page
            assert 'vitrine_batch_rows_sum{model="echo"} 6.0' in page
            assert 'vitrine_workers{state="serving"} 3.0' in page
            assert 'vitrine_model_ready{model="echo"} 1.0' in page
        assert client.get("/readyz").json() == {"ready": True, "reasons": [], "notes": []}


def test_a_killed_worker_takes_no_other_request_and_no_count_along() -> None:
    with workers(EchoServer()) as one, client_of_each(one) as clients:
        for client in clients.values():
            for _ in range(5):
                client.post(PATH, json=ROW)
        before = samples(one)
        assert predicted(before) == 10
        killed, kept = pids(one)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_alive(killed))
        answered = 0
        while (
            f"pids {killed}" in one.program.output.splitlines()[-1] or READY not in one.program.output.splitlines()[-1]
        ):
            with httpx.Client(base_url=one.url) as new:
                assert new.post(PATH, json=ROW).status_code == 200
            answered += 1
            found = samples(one)
            assert predicted(found) == 10 + answered
            assert all(found.get(name, 0) >= value for name, value in before.items() if "_total" in name)
            before = found
        assert pids(one)[1] == kept and pids(one)[0] != killed
        assert answered > 0
        with client_of_each(one) as again:
            for client in again.values():
                assert client.post(PATH, json=ROW).status_code == 200
        found = samples(one)
        assert predicted(found) == 12 + answered
        assert found["vitrine_worker_restarts_total"] == 1


@pytest.mark.alone  # the kernel resets connections that arrive between the last accept and the close of the port
@pytest.mark.parametrize("count", [1, 2])
def test_sigterm_under_load_loses_no_request(count: int) -> None:
    stop, lost, counts = threading.Event(), [], []

    def load(url: str) -> None:
        """Until the port is closed: each request has an answer, on a connection that is kept or new."""
        answered = 0
        with httpx.Client(base_url=url, timeout=30) as client:
            while True:
                try:
                    answer = client.post(PATH, json=ROW)
                except httpx.ConnectError:
                    break
                except httpx.HTTPError as error:
                    lost.append(repr(error))
                    break
                if answer.status_code != 200:
                    lost.append(answer.text)
                answered += 1
                if answered == 20:
                    stop.set()
        counts.append(answered)

    ready = READY if count > 1 else "are answered by version"
    with workers(EchoServer(), "--drain-seconds=0.5", count=count, ready=ready) as one:
        threads = [threading.Thread(target=load, args=[one.url]) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert stop.wait(60)
        found = pids(one) if count > 1 else []
        assert one.program.stop() == 0
        for thread in threads:
            thread.join()
        assert lost == []
        assert len(counts) == 8 and min(counts) > 0
        assert not any(map(is_alive, found))
        assert "Traceback" not in one.program.output


def test_readiness_waits_for_the_slowest_worker() -> None:
    server = EchoServer()
    server.let_metadata_through.clear()
    with workers(server, ready="Application startup complete") as one:
        one.program.wait_until(lambda: server.metadata_calls == 2)
        for _ in range(10):  # the other one does not listen
            answer = httpx.get(f"{one.url}/readyz")
            assert answer.status_code == 503
            assert re.fullmatch(r"worker [12] of 2 is starting", answer.json()["reasons"][0])
        server.let_metadata_through.set()
        one.program.wait_for(READY)
        assert httpx.get(f"{one.url}/readyz").status_code == 200


def test_workers_end_with_their_supervisor_and_free_the_port() -> None:
    server = EchoServer()
    with workers(server) as one, client_of_each(one) as clients:
        found = pids(one)
        server.let_predict_through.clear()
        answers: list[int] = []
        client = next(iter(clients.values()))
        request = threading.Thread(target=lambda: answers.append(client.post(PATH, json=ROW).status_code))
        request.start()
        server.waiting.acquire()
        one.program.process.kill()
        one.program.process.wait()
        server.let_predict_through.set()
        request.join()
        assert answers == [200]  # the request in flight is still answered
        wait_until(lambda: not any(map(is_alive, found)))
        listening.close(listening.reserve("127.0.0.1", httpx.URL(one.url).port or 0))


def test_a_hung_worker_does_not_hang_the_metrics() -> None:
    with workers(EchoServer()) as one, client_of_each(one) as clients:
        for client in clients.values():
            client.post(PATH, json=ROW)
        assert predicted(samples(one)) == 2
        hung = pids(one)[0]
        os.kill(hung, signal.SIGSTOP)
        try:
            awake = None
            for client in clients.values():
                with contextlib.suppress(httpx.TimeoutException):
                    client.get("/livez", timeout=1)
                    awake = client
            assert awake is not None
            started = time.monotonic()
            page = awake.get("/metrics").text
            assert time.monotonic() - started < 3
            assert 'vitrine_workers{state="silent"} 1.0' in page
            assert 'vitrine_requests_total{code="200",model="echo",verb="predict",version="1"} 2.0' in page
            assert awake.get("/readyz").json()["reasons"] == ["worker 1 of 2 does not answer"]
        finally:
            os.kill(hung, signal.SIGCONT)
        wait_until(lambda: serving(one) == 2)


@contextlib.contextmanager
def with_quick_heartbeats(missed: int) -> Iterator[Gateway]:
    """Two workers whose supervisor kills one after so many missed heartbeats, five a second."""
    port = free_port()
    program = (
        "from serving.gateway.settings import Settings; from serving.gateway.workers import supervisor;"
        f"supervisor._HEARTBEAT_SECONDS, supervisor._MAX_MISSED_HEARTBEATS = 0.2, {missed};"
        f"supervisor.run(Settings(port={port}, models='echo', log_format='text'), 2)"
    )
    with running("-c", program, ready=READY) as one, httpx.Client() as client:
        yield Gateway(client, one, f"http://127.0.0.1:{port}")


def test_a_hung_worker_is_killed_and_restarted() -> None:
    with with_quick_heartbeats(missed=2) as gateway:
        hung, other = pids(gateway)
        os.kill(hung, signal.SIGSTOP)
        gateway.program.wait_for(f"worker 1 (pid {hung}) ended with signal SIGKILL")
        gateway.program.wait_until(lambda: gateway.program.output.count(READY) == 2)
        assert pids(gateway)[1] == other and is_alive(other)


def test_a_pause_of_all_processes_kills_no_worker() -> None:
    """As when a container is paused: the clock goes on, but no worker misses a heartbeat."""
    with with_quick_heartbeats(missed=5) as gateway:
        found = pids(gateway)
        family = [gateway.program.process.pid, *found]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)  # the time of ten heartbeats
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: serving(gateway) == 2)
        time.sleep(0.5)  # the next two heartbeats
        assert serving(gateway) == 2 and pids(gateway) == found and all(map(is_alive, found))


def test_a_worker_that_does_not_stop_is_killed() -> None:
    with workers(EchoServer(), "--grace-seconds=0.1") as one:
        os.kill(pids(one)[0], signal.SIGSTOP)
        started = time.monotonic()
        assert one.program.stop() == 1
        assert time.monotonic() - started < 10
        assert not any(map(is_alive, pids(one)))
        assert f"worker 1 (pid {pids(one)[0]}) did not stop in time and is killed" in one.program.output


def test_a_hung_supervisor_hangs_neither_requests_nor_metrics() -> None:
    with workers(EchoServer()) as one:
        one.program.process.send_signal(signal.SIGSTOP)
        try:
            assert one.http.post(PATH, json=ROW, timeout=5).status_code == 200
            answer = one.http.get("/metrics", timeout=5)
            assert answer.status_code == 503
            assert "the supervisor of the workers does not answer" in answer.json()["error"]
            reasons = one.http.get("/readyz", timeout=5).json()["reasons"]
            assert reasons == ["the supervisor of the workers does not answer"]
        finally:
            one.program.process.send_signal(signal.SIGCONT)
        wait_until(lambda: one.http.get("/readyz").status_code == 200)
        assert predicted(samples(one)) == 1


def test_a_worker_has_its_share_of_the_limits() -> None:
    """Two requests in flight for the gateway are one for each worker."""
    server = EchoServer()
    server.let_predict_through.clear()
    with workers(server, "--max-in-flight=2", "--max-share=1") as one, client_of_each(one) as clients:
        threads = []
        for client in clients.values():
            threads.append(threading.Thread(target=client.post, args=[PATH], kwargs={"json": ROW}))
            threads[-1].start()
            server.waiting.acquire()
        for _ in range(4):
            answer = httpx.post(f"{one.url}{PATH}", json=ROW)
            assert answer.status_code == 503
            assert "1 requests" in answer.text
        assert samples(one)["vitrine_in_flight"] == 2
        assert "starting 2 workers, each with max_in_flight 1, max_queue_rows 1024" in one.program.output
        server.let_predict_through.set()
        for thread in threads:
            thread.join()


def test_a_rate_in_memory_counts_over_all_workers() -> None:
    with workers(EchoServer(), "--rate=4/hour") as one, client_of_each(one) as clients:
        statuses = [client.get("/v1/models").status_code for client in [*clients.values()] * 4]
        assert statuses == [200] * 4 + [429] * 4


def test_drift_is_that_of_all_workers(models_root: Path) -> None:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(
            address, models_root / "models.config", "--workers=2", "--drift-per-second=1000000", ready=READY
        ) as one,
        client_of_each(one) as clients,
    ):
        for client in clients.values():
            answer = client.post("/v1/models/shade:predict", content=picture(), headers={"content-type": "image/png"})
            assert answer.status_code == 200
        for client in clients.values():
            drift = client.get("/v1/models/shade/drift").json()
            assert drift["quantities"]["brightness"]["rows"] == 2
            rows = 'vitrine_drift_rows{model="shade",quantity="brightness",version="1"} 2.0'
            assert rows in client.get("/metrics").text


def test_a_worker_with_its_own_engine_opens_the_port_once_all_models_are_loaded(exports: Path) -> None:
    port = free_port()
    flags = (f"--exports={exports}", "--workers=2", f"--port={port}")
    with (
        running("-m", "serving.gateway", *flags, ready=READY) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        one = Gateway(client, program, f"http://127.0.0.1:{port}")
        os.kill(pids(one)[0], signal.SIGKILL)
        wait_until(lambda: not is_alive(pids(one)[0]))
        found: set[str] = set()
        while program.output.count(READY) < 2 or len(found) < 2:
            answer = httpx.get(f"{one.url}/v2/health/ready")  # of the worker that answers
            assert answer.status_code == 200
            found.add(worker_of(answer))
        body = {"history": [0.31, 0.58], "horizon": 2}
        with client_of_each(one) as clients:
            for each in clients.values():
                assert each.post("/v1/models/sine_rnn:forecast", json=body).status_code == 200


def test_a_port_of_another_program_is_refused_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with running("-m", "serving.gateway", "--workers=2", f"--port={port}", ready="cannot listen") as program:
            assert program.process.wait(30) == 1
        assert program.output.count("\n") == 1
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in program.output


def test_wrong_settings_are_reported_once() -> None:
    with running("-m", "serving.gateway", "--workers=2", "--keys=/nowhere", ready="is not a file") as program:
        assert program.process.wait(30) == 2
    assert program.output.count("\n") == 1


def test_workers_that_cannot_start_end_the_program() -> None:
    flags = ("--workers=2", f"--port={free_port()}", "--rate=1/second", "--rate-storage=redis://127.0.0.1:none")
    with running("-m", "serving.gateway", *flags, ready="before it served") as program:
        assert program.process.wait(60) == 1
    assert re.search(
        r"worker [12] \(pid \d+\) ended with code 3 before it served; its log lines say why", program.output
    )
    assert program.output.count("before it served") == 1


@pytest.mark.parametrize(
    ("previous", "lifetime", "expected"),
    [(0, 3600, 0), (30, 60, 0), (0, 5, 0.5), (0.5, 5, 1), (16, 5, 30), (30, 5, 30)],
)
def test_backoff_doubles_until_a_worker_stays_alive(previous: float, lifetime: float, expected: float) -> None:
    assert next_backoff(previous, lifetime) == expected


def test_a_stop_while_workers_start_is_no_failure() -> None:
    server = EchoServer()
    server.let_metadata_through.clear()
    with workers(server, ready="Application startup complete") as one:
        one.program.wait_until(lambda: server.metadata_calls == 2)
        assert one.program.stop() == 0
        server.let_metadata_through.set()


def test_one_worker_is_this_process_alone() -> None:
    with workers(EchoServer(), count=1, ready="Uvicorn running") as one:
        children = Path(f"/proc/{one.program.process.pid}/task/{one.program.process.pid}/children").read_text()
        assert children == ""
        wait_until(lambda: one.http.get("/readyz").status_code == 200)
        assert "vitrine_workers" not in one.http.get("/metrics").text


def test_automatic_number_of_workers() -> None:
    expected = limits.automatic(limits.processors(), limits.memory_limit(), 256_000_000, 32_000_000)
    with workers(EchoServer(), "--workers=auto", ready="Application startup complete") as one:
        pid = one.program.process.pid
        wait_until(lambda: httpx.get(f"{one.url}/readyz").status_code == 200)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == (expected if expected > 1 else 0)
