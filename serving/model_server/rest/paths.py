"""Parse a request's method and path into an action and a model.

Source: tensorflow_serving/model_servers/http_rest_api_util.cc. As there, paths match in any case, but ``predict``,
``classify``, ``regress`` and ``metadata`` only in lower case.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from serving.model_server.errors import ServingError, invalid_argument
from serving.tfs_api.status_codes import Code

_SERVED = re.compile(r"(?i)/v1/.*", re.ASCII | re.DOTALL)
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]++))?"
_ACTION = re.compile(rf"(?i)/v1/models/(?P<model>[^/:]++){_VERSION}:(?P<action>classify|regress|predict)", re.ASCII)
_STATUS = re.compile(rf"(?i)/v1/models(?:/(?P<model>[^/:]++))?{_VERSION}(?:/(?P<action>metadata))?", re.ASCII)
_MAX_DIGITS = 19  # of a 64-bit number

Action = Literal["predict", "classify", "regress", "status", "metadata"]
_BY_NAME: dict[str, Action] = {"predict": "predict", "classify": "classify", "regress": "regress"}


class BadPart(ServingError):
    """A part of the path cannot be decoded. TensorFlow Serving answers with an empty body."""

    def __init__(self, text: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, text)


@dataclass(frozen=True)
class RestTarget:
    """Action and model of a request; without version and label, the newest version."""

    action: Action
    model: str
    version: int | None = None
    label: str | None = None


def is_served(path: str) -> bool:
    """Return whether a path belongs to the REST interface."""
    return _SERVED.fullmatch(path) is not None


def read(method: str, path: str) -> RestTarget:
    """Return the target of a request.

    Raises:
        ServingError: INVALID_ARGUMENT if the interface has no such method and path.
        BadPart: the version is too large, or a name is no UTF-8.
    """
    pattern = {"POST": _ACTION, "GET": _STATUS}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    version = _version(match["version"]) if match["version"] else None
    label = _decoded(match["label"], "model version label") if match["label"] else None
    if not match["model"]:
        raise invalid_argument("Missing model name in request.")
    model = _decoded(match["model"], "model name")
    if method == "GET":
        return RestTarget("metadata" if match["action"] == "metadata" else "status", model, version, label)
    if match["action"] not in _BY_NAME:
        raise invalid_argument(f"Malformed request: {method} {path}")
    return RestTarget(_BY_NAME[match["action"]], model, version, label)


def _version(digits: str) -> int:
    if len(digits.lstrip("0")) > _MAX_DIGITS or int(digits) >= 2**63:
        raise BadPart(f"Failed to convert version: {digits} to numeric.")
    return int(digits)


def _decoded(text: str, what: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise BadPart(f"Failed to decode {what}:{text}") from None
