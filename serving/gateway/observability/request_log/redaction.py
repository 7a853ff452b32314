"""Redaction: what is left out of the bodies and answers in the request log.

Pictures, base64 pictures in JSON, and other binary bodies become ``{"sha256": …, "bytes": …}`` or ``{"bytes": …}``,
unless they are kept. The body of an image model's request counts as a picture in any encoding: pixels in JSON are one,
too. Fields by name or path become ``"[redacted]"``.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson

from serving.gateway.observability.request_log.entry import Entry

#: What the log has of pictures and other binary bodies.
Pictures = Literal["hash", "drop", "keep"]

REDACTED = "[redacted]"
_ANY = None  # in a path: every key or index
_NAME = re.compile(r"[^\s.$\[\]'\"*]+")
_STEP = re.compile(r"\.([^\s.\[\]'\"*]+)|\['([^']+)'\]|\[([0-9]{1,9})\]|(\.\*|\[\*\])")
_DATA_OF_NAME = frozenset({"data", "history", "series"})  # of {"name": …} in tensors and in series
_BASE64_KEYS = frozenset({"b64"})
_ANSWER_KEYS = frozenset({"b64", "inputs"})  # inputs: the prepared pictures of an image model's answer

Path = tuple[str | int | None, ...]


class Redaction:
    """The rules of one gateway."""

    def __init__(self, fields: str, pictures: Pictures) -> None:
        """Parse the rules.

        Args:
            fields: names and paths, separated by commas.
            pictures: what the log has of binary bodies.

        Raises:
            ValueError: a field is neither a name nor a path.
        """
        rules = [field.strip() for field in fields.split(",") if field.strip()]
        self._names = frozenset(rule for rule in rules if _is_name(rule))
        self._paths = [_parse_path(rule) for rule in rules if not _is_name(rule)]
        self._pictures = pictures

    def apply(self, entry: Entry, is_picture: bool) -> Entry:
        """Return the entry with its body and answer as JSON, or as kept binary content.

        Args:
            entry: as it was received and answered.
            is_picture: whether the model takes pictures.
        """
        body, body_is_json = self._content(entry.body, entry.body_bytes, is_picture, _BASE64_KEYS)
        keys = _ANSWER_KEYS if is_picture else _BASE64_KEYS
        answer, answer_is_json = self._content(entry.answer, entry.answer_bytes, False, keys)
        return replace(entry, body=body, body_is_json=body_is_json, answer=answer, answer_is_json=answer_is_json)

    def _content(self, content: bytes | None, size: int, is_picture: bool, keys: frozenset[str]) -> tuple[bytes, bool]:
        """Return content for the log, and whether it is JSON."""
        if content is None:
            return orjson.dumps({"bytes": size}), True
        if not content:
            return b"", True
        if not is_picture or self._pictures == "keep":
            try:
                document = self._redacted(orjson.loads(content), self._paths, keys)
                return orjson.dumps(document), True
            except (ValueError, RecursionError):  # no JSON, or JSON that nobody needs
                if self._pictures == "keep" and (is_picture or not (self._names or self._paths)):
                    return content, False
        if is_picture or not (self._names or self._paths):
            return orjson.dumps(self._summary(content)), True
        return orjson.dumps({"bytes": size}), True  # a field of it may have to be left out

    def _summary(self, content: bytes) -> dict[str, Any]:
        size = {"bytes": len(content)}
        return size if self._pictures == "drop" else {"sha256": hashlib.sha256(content).hexdigest(), **size}

    def _redacted(self, value: Any, paths: Sequence[Path], keys: frozenset[str]) -> Any:
        """Return a JSON value without the fields; ``paths`` start at it."""
        if isinstance(value, list):
            return [self._item(at, one, paths, keys) for at, one in enumerate(value)]
        if not isinstance(value, dict):
            return value
        has_name = isinstance(value.get("name"), str) and value["name"] in self._names
        kept: dict[str, Any] = {}
        for key, one in value.items():
            if key in self._names or (has_name and key in _DATA_OF_NAME):
                kept[key] = REDACTED
            elif key in keys and self._pictures != "keep":
                kept[key] = self._encoded(one)
            else:
                kept[key] = self._item(key, one, paths, keys)
        return kept

    def _item(self, key: str | int, value: Any, paths: Sequence[Path], keys: frozenset[str]) -> Any:
        deeper = [path[1:] for path in paths if path[0] in (key, _ANY)]
        return REDACTED if () in deeper else self._redacted(value, deeper, keys)

    def _encoded(self, value: Any) -> Any:
        """Return the summary of a picture in base64, or of each one in a list."""
        if isinstance(value, list):
            return [self._encoded(one) for one in value]
        if not isinstance(value, str):
            return REDACTED
        try:
            return self._summary(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            return self._summary(value.encode("utf-8", "surrogatepass"))


def _is_name(rule: str) -> bool:
    return _NAME.fullmatch(rule) is not None


def _parse_path(rule: str) -> Path:
    steps: list[str | int | None] = []
    at = 1
    while rule.startswith("$") and at < len(rule):
        match = _STEP.match(rule, at)
        if match is None:
            break
        at = match.end()
        name, index = match[1] or match[2], match[3]
        steps.append(name or (int(index) if index else _ANY))
    if not steps or at < len(rule):
        raise ValueError(
            f"request_log_redact: {rule!r} is neither a field's name nor a path like $.features.age or $.series[*].name"
        )
    return tuple(steps)
