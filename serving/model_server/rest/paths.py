"""What a method and a path ask for.

Source: tensorflow_serving/model_servers/http_rest_api_util.cc. Paths are matched in any case; the name of a method and
``metadata`` count only in small letters, as there.
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


class BadPart(ServingError):
    """A part of a path that matches cannot be read.

    TensorFlow Serving answers it with an empty body.
    """

    def __init__(self, text: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, text)


Action = Literal["predict", "classify", "regress", "status", "metadata"]
_BY_NAME: dict[str, Action] = {"predict": "predict", "classify": "classify", "regress": "regress"}


@dataclass(frozen=True)
class RestTarget:
    """What to do, and with which model; neither version nor label means the newest version."""

    action: Action
    model: str
    version: int | None = None
    label: str | None = None


def is_served(path: str) -> bool:
    """Whether a path is one of this interface at all."""
    return _SERVED.fullmatch(path) is not None


def read(method: str, path: str) -> RestTarget:
    """What a request asks for.

    Raises:
        INVALID_ARGUMENT: there is no such thing.
    """
    pattern = {"POST": _ACTION, "GET": _STATUS}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    version = int(match["version"]) if match["version"] else None
    if version is not None and version >= 2**63:
        raise BadPart(f"Failed to convert version: {version} to numeric.")
    label = _decoded(match["label"], "model version label") if match["label"] else None
    if not match["model"]:
        raise invalid_argument("Missing model name in request.")
    model = _decoded(match["model"], "model name")
    if method == "GET":
        return RestTarget("metadata" if match["action"] == "metadata" else "status", model, version, label)
    if match["action"] not in _BY_NAME:
        raise invalid_argument(f"Malformed request: {method} {path}")
    return RestTarget(_BY_NAME[match["action"]], model, version, label)


def _decoded(text: str, what: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise BadPart(f"Failed to decode {what}:{text}") from None
