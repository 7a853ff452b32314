"""CloudEvents: attributes by the specification and by KServe's logger, and answers of the receiver."""

import re
from collections import deque
from contextlib import closing
from datetime import datetime
from urllib.parse import unquote

import pytest

from serving.gateway.observability.request_log.cloud_events import CloudEvents
from serving.gateway.observability.request_log.entry import Entry
from serving.gateway.observability.request_log.settings import RequestLogSettings
from tests.programs import free_port
from tests.serving.gateway.observability.request_log.entries import entry
from tests.serving.gateway.observability.request_log.sink import event_sink


def target(url: str) -> closing[CloudEvents]:
    return closing(CloudEvents(RequestLogSettings(request_log=url, request_log_sample=0.25), "http://pod-1:8000/"))


def test_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and required attributes follow CloudEvents 1.0, extension names KServe's logger."""
    monkeypatch.setenv("POD_NAMESPACE", "shop")
    entries = deque([entry(label='50 % "größer"'), entry(event="feedback", id="f-1")])
    with event_sink() as sink, target(sink.url) as events:
        events.write(entries)
        assert not entries
    asked, answered, feedback = (
        {name[3:]: value for name, value in headers.items() if name.startswith("ce-")} for headers, _ in sink.events
    )
    for event in (asked, answered, feedback):
        assert event.keys() >= {"specversion", "id", "source", "type"}
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
        assert all(re.fullmatch(r"[!#$&-~]+|(?:[!#$&-~]|%[0-9A-F]{2})+", value) for value in event.values())
        assert datetime.fromisoformat(event["time"]).timestamp() == 1_769_860_800.25
    common = {"specversion": "1.0", "id": "r-1", "source": "http://pod-1:8000/", "inferenceservicename": "price"}
    common |= {"namespace": "shop", "component": "predictor", "modelversion": "2", "samplerate": "0.25"}
    assert asked.items() >= (common | {"type": "org.kubeflow.serving.inference.request"}).items()
    assert answered.items() >= (common | {"type": "org.kubeflow.serving.inference.response", "status": "200"}).items()
    assert unquote(asked["endpoint"]) == '50 % "größer"'
    assert (feedback["id"], feedback["requestid"], feedback["endpoint"]) == ("f-1", "r-1", "default")
    assert [content for _, content in sink.events[:2]] == [entry().body, entry().answer]


def test_answers_of_the_receiver(caplog: pytest.LogCaptureFixture) -> None:
    """Refused events are dropped with one line in the log for a status, failed ones stay."""
    waiting: deque[Entry] = deque([entry(event="feedback", id=name) for name in ("a", "b", "c")])
    with event_sink(400, 503, 400) as sink, target(sink.url) as events:
        with pytest.raises(OSError, match=r"127\.0\.0\.1 answers an event with HTTP status 503"):
            events.write(waiting)
        assert events.rejected == 1 and [one.id for one in waiting] == ["b", "c"]
        events.write(waiting)
    assert [headers["ce-id"] for headers, _ in sink.events] == ["a", "b", "b", "c"] and events.rejected == 2
    assert caplog.text.count("127.0.0.1 rejects events of the request log with HTTP status 400") == 1
    with target(f"http://127.0.0.1:{free_port()}") as nobody, pytest.raises(OSError, match="does not take events"):
        nobody.write(deque([entry()]))
