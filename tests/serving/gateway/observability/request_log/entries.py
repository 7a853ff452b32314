"""Entries of the request log for tests."""

from typing import Any

from serving.gateway.observability.request_log.entry import Entry


def entry(**changes: Any) -> Entry:
    """Return an answered request to a table model after redaction, with changes."""
    body: bytes = changes.get("body", b'{"features": {"rooms": 3}}')
    answer: bytes = changes.get("answer", b'{"predictions": [3.0]}')
    fields: dict[str, Any] = {
        "event": "request",
        "time": 1_769_860_800.25,  # 2026-01-31T12:00:00.25Z
        "request_id": "r-1",
        "model": "price",
        "version": 2,
        "label": None,
        "verb": "predict",
        "path": "/v1/models/price:predict",
        "status": 200,
        "seconds": 0.0015,
        "body": body,
        "body_type": "application/json",
        "body_bytes": len(body or b""),
        "answer": answer,
        "answer_type": "application/json",
        "answer_bytes": len(answer or b""),
        "body_is_json": True,
        "answer_is_json": True,
    }
    return Entry(**fields | changes)
