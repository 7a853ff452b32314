"""Logging: each record is one line on standard error, as JSON or as text, uvicorn's records included.

Bodies, headers and keys are never logged.
"""

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
    """One JSON object: time, level, logger, message, the values of ``extra``, the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
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
    """One line for people: time, level, logger, message, then ``name=value``. Control characters are escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format a record, but for the traceback of an exception."""
        line = " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in _extra(record).items())])
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


def set_up(level: str, form: Literal["json", "text"], worker: int | None = None) -> None:
    """Send every logger of this process to standard error; with a ``worker``, each record names it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    if worker is not None:

        def add_worker(record: logging.LogRecord) -> bool:
            record.worker = worker
            return True

        handler.addFilter(add_worker)
    if level != "debug":
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each request as info
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
