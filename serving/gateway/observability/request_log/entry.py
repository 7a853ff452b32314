"""One entry of the request log."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

JSON_TYPE = "application/json"
_OVERHEAD = 1024  # bytes of an entry without its bodies, about


@dataclass(frozen=True, slots=True)
class Entry:
    """A request with its answer, or one item of feedback.

    Attributes:
        event: what the entry describes.
        time: Unix time of the answer.
        request_id: of the request; of feedback, the request that it is about.
        model: the model's name.
        version: the version that answered; None if none did.
        label: the label in the request's path.
        verb: the inference verb.
        path: the request's path without its query.
        status: HTTP status of the answer.
        seconds: from the request's head to its answer.
        body: the request's body, decompressed; None if it is too large.
        body_type: its content type.
        body_bytes: its size.
        answer: the answer's body before compression; None if it is too large.
        answer_type: its content type.
        answer_bytes: its size.
        id: of an item of feedback.
        body_is_json: whether redaction has made the body JSON.
        answer_is_json: the same of the answer.
    """

    event: Literal["request", "feedback"]
    time: float
    request_id: str
    model: str
    version: int | None
    label: str | None
    verb: str
    path: str
    status: int
    seconds: float
    body: bytes | None
    body_type: str
    body_bytes: int
    answer: bytes | None = b""
    answer_type: str = JSON_TYPE
    answer_bytes: int = 0
    id: str = ""
    body_is_json: bool = False
    answer_is_json: bool = False

    @property
    def size(self) -> int:
        """Memory of the entry in bytes, about."""
        return _OVERHEAD + len(self.body or b"") + len(self.answer or b"")

    @property
    def moment(self) -> datetime:
        """Time of the answer."""
        return datetime.fromtimestamp(self.time, UTC)
