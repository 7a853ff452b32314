"""CloudEvents over HTTP, in binary mode, as KServe's logger sends them.

A logged request is two events with the same id: ``org.kubeflow.serving.inference.request`` and ``….response``. Feedback
is one, ``….feedback``. Source: pkg/logger/worker.go of KServe, and the HTTP protocol binding of CloudEvents 1.0.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx

from serving.gateway.observability.request_log.entry import JSON_TYPE, Entry
from serving.gateway.observability.request_log.settings import RequestLogSettings

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
FEEDBACK = "org.kubeflow.serving.inference.feedback"
_TIMEOUT = 5.0
_RETRIED = frozenset({408, 425, 429})
# CloudEvents' HTTP binding, 3.1.3.2: printable ASCII without space, quotation mark and percent sign.
_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


log = logging.getLogger("vitrine.request_log")


class CloudEvents:
    """Posts entries to one address."""

    batch_bytes = 4_000_000
    batch_seconds = 0.0

    def __init__(self, settings: RequestLogSettings, source: str) -> None:
        """Create an HTTP client.

        Args:
            settings: address and sample.
            source: attribute ``source`` of the events, a URI reference.
        """
        self.rejected = 0
        self._logged_status = 0
        self._url = settings.request_log
        self._host = urlsplit(settings.request_log).hostname
        self._source = source
        self._sample = settings.request_log_sample
        self._namespace = os.environ.get("POD_NAMESPACE", "")
        self._http = httpx.Client(timeout=_TIMEOUT)

    def write(self, entries: deque[Entry]) -> None:
        """Post the events of one entry after the other."""
        while entries:
            accepted = True
            for kind, content, content_type in _events(entries[0]):
                accepted = accepted and self._post(entries[0], kind, content, content_type)
            entries.popleft()
            self.rejected += not accepted

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _post(self, entry: Entry, kind: str, content: bytes, content_type: str) -> bool:
        """Post an event, and return whether it was accepted.

        Raises:
            OSError: the receiver cannot be reached or failed.
        """
        headers = {f"ce-{name}": quote(value, safe=_UNESCAPED) for name, value in self._attributes(entry, kind).items()}
        try:
            status = self._http.post(
                self._url, content=content, headers=headers | {"content-type": content_type}
            ).status_code
        except httpx.HTTPError as error:
            raise OSError(f"{self._host} does not take events ({type(error).__name__}: {error})") from None
        if status >= 500 or status in _RETRIED:
            raise OSError(f"{self._host} answers an event with HTTP status {status}")
        if status >= 300 and status != self._logged_status:
            log.error("%s rejects events of the request log with HTTP status %d; they are dropped", self._host, status)
            self._logged_status = status
        return status < 300

    def _attributes(self, entry: Entry, kind: str) -> dict[str, str]:
        attributes = {
            "specversion": "1.0",
            "id": entry.id or entry.request_id,
            "type": kind,
            "source": self._source,
            "time": entry.moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "inferenceservicename": entry.model,
            "namespace": self._namespace,
            "component": "predictor",
            "endpoint": entry.label or "default",
            "modelversion": "" if entry.version is None else str(entry.version),
        }
        if kind == FEEDBACK:
            attributes["requestid"] = entry.request_id
        else:
            attributes |= {
                "verb": entry.verb,
                "status": str(entry.status),
                "milliseconds": f"{entry.seconds * 1000:.3f}",
                "samplerate": f"{self._sample:g}",
            }
        return {name: value for name, value in attributes.items() if value}


def _events(entry: Entry) -> Iterator[tuple[str, bytes, str]]:
    """Yield type, data and content type of an entry's events."""
    if entry.event == "feedback":
        yield FEEDBACK, entry.body or b"", _data_type(entry.body_type, entry.body_is_json)
        return
    yield REQUEST, entry.body or b"", _data_type(entry.body_type, entry.body_is_json)
    yield RESPONSE, entry.answer or b"", _data_type(entry.answer_type, entry.answer_is_json)


def _data_type(content_type: str, is_json: bool) -> str:
    return JSON_TYPE if is_json else content_type
