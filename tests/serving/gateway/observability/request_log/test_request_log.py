"""The request log of real gateways: files of several workers, an event sink, and sinks that hang or fail."""

import json
import re
import signal
import socket
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from serving.counters import Counter
from serving.gateway.observability.request_log.entry import Entry
from serving.gateway.observability.request_log.request_log import RequestLog
from serving.gateway.observability.request_log.settings import RequestLogSettings
from serving.gateway.settings import Settings
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.observability.request_log.entries import entry
from tests.serving.gateway.observability.request_log.sink import event_sink
from tests.serving.gateway.programs import Gateway

PICTURE = picture()
SECRET = "vt_a-key-that-nobody-has-0123456789"  # pragma: allowlist secret


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("date=*/*")) for line in file.read_text().splitlines()]


def send(gateway: Gateway, count: int = 1) -> None:
    for _ in range(count):
        answer = gateway.http.post("/v1/models/price:predict", json={"features": {"rooms": 3, "age": 1}})
        assert answer.status_code == 200


def total(gateway: Gateway, metric: str) -> float:
    """Return the value of a counter, with labels in Prometheus' form."""
    (value,) = re.findall(rf"^{re.escape(metric)} (\S+)$", gateway.http.get("/metrics").text, re.MULTILINE)
    return float(value)


def test_files_of_two_workers(models_root: Path, tmp_path: Path) -> None:
    """Every entry is in a finished file after SIGTERM; keys, redacted fields and pictures are in none."""
    folder = tmp_path / "log"
    flags = (f"--request-log={folder}", "--request-log-redact=age", "--workers=2", "--request-log-file-seconds=600")
    headers = {"authorization": f"Bearer {SECRET}", "x-request-id": "asked-1"}
    with programs.embedded_gateway(models_root, *flags, ready="2 workers serve") as gateway:
        good = gateway.http.post(
            "/v1/models/price/labels/stable:predict?x=1", json={"features": {"rooms": 3, "age": 41}}, headers=headers
        )
        assert good.status_code == 400  # the parameter
        good = gateway.http.post(
            "/v1/models/price/labels/stable:predict", json={"features": {"rooms": 3, "age": 41}}, headers=headers
        )
        with httpx.Client(base_url=gateway.url) as other:  # perhaps the other worker
            shade = other.post("/v1/models/shade:predict", content=PICTURE, headers={"content-type": "image/png"})
            assert other.post("/v1/models/nobody:predict", content=PICTURE).status_code == 404
            assert other.post("/v1/models/price:predict", content=b"{" + b" " * 300_000 + b"}").status_code == 400
        assert gateway.program.stop(signal.SIGTERM) == 0
    bad, first, second, large = sorted(read(folder), key=lambda one: str(one["time"]))
    assert (bad["status"], bad["version"], bad["answer"]["code"]) == (400, None, "bad_option")
    assert first["request"] == {"features": {"rooms": 3, "age": "[redacted]"}} and first["answer"] == good.json()
    assert (first["event"], first["request_id"], first["model"]) == ("request", "asked-1", "price")
    assert (first["version"], first["label"], first["verb"], first["status"]) == (1, "stable", "predict", 200)
    assert first["path"] == "/v1/models/price/labels/stable:predict" and 0 < first["ms"] < 5000
    assert first["sample"] == 1 and first["request_type"] == first["answer_type"] == "application/json"
    assert second["request"].keys() == {"sha256", "bytes"} and second["request"]["bytes"] == len(PICTURE)
    assert second["answer"] == shade.json() and second["request_type"] == "image/png"
    assert large["request"] == {"bytes": 300_002}
    content = b"".join(file.read_bytes() for file in folder.glob("date=*/*"))
    assert SECRET.encode() not in content and b"41" not in json.dumps(first["request"]).encode()
    assert not list(folder.glob("date=*/.*"))


def test_files_are_written_by_age_and_after_a_failure(models_root: Path, tmp_path: Path) -> None:
    """A folder that cannot be written loses nothing while the queue has room."""
    folder = tmp_path / "log"
    flags = (f"--request-log={folder}", "--request-log-file-seconds=0.1", "--request-log-sample=1")
    with programs.embedded_gateway(models_root, *flags) as gateway:
        programs.wait_until_ready(gateway, "price")
        send(gateway)
        gateway.program.wait_until(lambda: len(read(folder)) == 1)
        assert total(gateway, "vitrine_request_log_written_total") == 1
        folder.rename(tmp_path / "moved")
        folder.write_text("a file in its place")
        send(gateway, 2)
        gateway.program.wait_for("the request log cannot be written, and is retried")
        send(gateway)
        folder.unlink()
        (tmp_path / "moved").rename(folder)
        gateway.program.wait_for("the request log is written again")
        gateway.program.wait_until(lambda: len(read(folder)) == 4)
        assert total(gateway, 'vitrine_request_log_dropped_total{reason="queue_full"}') == 0


def test_events_of_a_gateway(models_root: Path) -> None:
    with event_sink() as sink:
        flags = (f"--request-log={sink.url}", "--request-log-pictures=keep")
        with programs.embedded_gateway(models_root, *flags) as gateway:
            programs.wait_until_ready(gateway, "shade")
            answer = gateway.http.post(
                "/v1/models/shade:predict", content=PICTURE, headers={"content-type": "image/png"}
            )
            sink.wait_for(2)
        gateway.program.stop(signal.SIGTERM)
        assert '"httpx"' not in gateway.program.output
    (asked, body), (answered, content) = sink.events
    assert (body, asked["content-type"]) == (PICTURE, "image/png")
    assert json.loads(content) == answer.json() and answered["content-type"] == "application/json"
    assert asked["ce-id"] == answered["ce-id"] == answer.json()["request_id"]
    assert asked["ce-type"] == "org.kubeflow.serving.inference.request"
    assert answered["ce-type"] == "org.kubeflow.serving.inference.response"


def test_a_sink_that_hangs_changes_no_answer(models_root: Path) -> None:
    """The sink accepts connections and never answers; the small queue fills, and further entries are dropped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        flags = (f"--request-log={url}", "--request-log-queue-bytes=10000")
        with programs.embedded_gateway(models_root, *flags) as gateway:
            programs.wait_until_ready(gateway, "price")
            send(gateway)
            connection, _ = listener.accept()  # the thread waits for the sink now
            with connection:
                started = time.monotonic()
                send(gateway, 40)
                assert time.monotonic() - started < 4  # less than the sink's time-out
                assert total(gateway, 'vitrine_request_log_dropped_total{reason="queue_full"}') > 20
                started = time.monotonic()
                assert gateway.program.stop(signal.SIGTERM) == 0
                assert time.monotonic() - started < 10
                assert "could not write its last" in gateway.program.output


class Refusing:
    """A target that refuses each second entry for good, then fails once, then works."""

    batch_bytes, batch_seconds = 1_000_000, 0.0

    def __init__(self) -> None:
        self.rejected = 0
        self.written: list[str] = []

    def write(self, entries: deque[Entry]) -> None:
        while entries:
            if entries[0].request_id == "fails" and "fails" not in self.written:
                self.written.append("fails")
                raise OSError("the disk is full")
            taken = entries.popleft().request_id
            if taken == "bad":
                self.rejected += 1
            else:
                self.written.append(taken)

    def close(self) -> None:
        """Close nothing."""


def test_counts_of_a_target_that_refuses_and_fails() -> None:
    written, dropped = Counter("written", "", []), Counter("dropped", "", ["reason"])
    target = Refusing()
    log = RequestLog(RequestLogSettings(request_log="."), target, lambda *_: False, written, dropped)
    for name in ("first", "bad", "fails", "last"):
        log.offer(entry(request_id=name))
    until = time.monotonic() + 20
    while "last" not in target.written and time.monotonic() < until:
        time.sleep(0.02)
    log.close()
    assert target.written == ["first", "fails", "fails", "last"]
    assert written.sums == {(): 3}
    assert dropped.sums == {("queue_full",): 0, ("rejected",): 1, ("failed",): 0, ("shutdown",): 0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"request_log_sample": 0.5}, "request_log_sample needs request_log"),
        ({"request_log": "ftp://host/x"}, "neither a folder nor an address with s3://, gs://, http:// or https://"),
        ({"request_log": "http:///x"}, "names no host"),
        ({"request_log": "http://host:x/"}, "names no host"),
        ({"request_log": __file__}, "is not a folder"),
        ({"request_log": "http://host/", "request_log_format": "parquet"}, "request_log takes CloudEvents"),
        ({"request_log": ".", "request_log_redact": "a.b"}, "'a.b' is neither a field's name nor a path"),
        ({"request_log": ".", "request_log_sample": 2}, "less than or equal to 1"),
        ({"request_log": ".", "request_log_disk_bytes": 10}, "request_log_disk_bytes is 10, less than one file"),
        ({"request_log": ".", "request_log_pictures": "blur"}, "'hash', 'drop' or 'keep'"),
    ],
)
def test_bad_settings(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        Settings(**given)
