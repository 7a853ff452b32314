"""The log: one JSON object or one line of text a record on standard error, what uvicorn says included.

Bodies, headers and keys are never in it."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class JsonLines(logging.Formatter):
    """Time, level, logger and message; then whatever ``extra`` held; then the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _extra(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextLines(logging.Formatter):
    """The same for people: time, level, logger, message, then ``name=value``; one line, whatever a path holds."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in _extra(record).items())])
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


def set_up(level: str, form: Literal["json", "text"]) -> None:
    """Sends every logger of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
