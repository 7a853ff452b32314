"""What a path names: a model, which of its versions, and what is asked of it.

Paths under ``/v1/models`` are TensorFlow Serving's and, as there, may be written in any case but for the names in them.
"""

import functools
import re
from dataclasses import dataclass
from enum import Enum

from serving.gateway.errors import UnknownPath, UnknownVerb, UnknownVersion, listed
from serving.gateway.models.routing import VersionChoice


class Form(Enum):
    """Whose form an error has on a path, until the body says otherwise."""

    NATIVE = "native"
    PLAIN = "plain"  # TensorFlow Serving's and the Open Inference Protocol's: the sentence alone
    OPENAI = "openai"  # OpenAI's, which KServe's time series have too


#: What a model is asked at ``/v1/models/…:verb``.
VERBS = ("predict", "embed", "neighbours", "forecast", "classify", "regress")
#: Verbs of TensorFlow Serving alone: they take and give nothing but its own form.
_TENSORFLOW_VERBS = frozenset({"classify", "regress"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a hot path names. ``model`` is empty where the body names it. ``verb`` is one of :data:`VERBS`, ``infer``
    (Open Inference Protocol), ``embeddings`` (OpenAI) or ``timeseries`` (KServe)."""

    model: str
    wanted: VersionChoice
    verb: str

    @property
    def scope(self) -> str:
        """The native verb that a key must be for: tensors may be anything, so they are ``predict``."""
        return _SCOPES.get(self.verb, self.verb)


_REMEMBERED = 128  # paths; one that nobody but an attacker writes may be as long as a request's head
_SCOPES = {
    "classify": "predict",
    "regress": "predict",
    "infer": "predict",
    "embeddings": "embed",
    "timeseries": "forecast",
}

#: The verbs that a key can be for.
SCOPES = tuple(verb for verb in VERBS if verb not in _SCOPES)

_IN_BODY = {
    "/v1/embeddings": Target("", VersionChoice(), "embeddings"),
    "/v1/timeseries/forecast": Target("", VersionChoice(), "timeseries"),
}
# Possessive: a path of 30 kB that does not match would take milliseconds of backtracking.
_VERSION_OR_LABEL = r"(?:/versions/([^/:]++)|/labels/([^/:]++))?"
_V1 = re.compile(rf"(?i:/v1/models)/([^/:]++)(?i:{_VERSION_OR_LABEL}):([^/:]++)")
_V1_OTHER = re.compile(rf"(?i:/v1/models)(?:/([^/:]++)(?i:{_VERSION_OR_LABEL})(?:/((?i:metadata|card|drift)))?)?")
_V2 = re.compile(r"/v2/models/([^/]++)(?:/versions/([^/]++))?/infer")


def is_hot(path: str) -> bool:
    """Whether a path is one of those that are answered by plain functions, well formed or not."""
    if path.startswith("/v2/"):
        return path.endswith("/infer")
    return path in _IN_BODY or (":" in path and path[:11].lower() == "/v1/models/")


@functools.lru_cache(maxsize=_REMEMBERED)
def target(path: str) -> Target:
    """What a hot path names.

    Raises:
        UnknownPath, UnknownVerb: no such path or verb. UnknownVersion: the version is no number.
    """
    if path in _IN_BODY:
        return _IN_BODY[path]
    if path.startswith("/v2/"):
        match = _V2.fullmatch(path)
        if match is None:
            raise UnknownPath(
                "there is no such path; a model is asked at /v2/models/MODEL/infer or /v2/models/MODEL/versions/N/infer"
            )
        model, version = match.groups()
        return Target(model, VersionChoice(_number(version), None), "infer")
    match = _V1.fullmatch(path)
    if match is None:
        raise UnknownPath(
            "there is no such path; a model is asked at "
            "/v1/models/MODEL:predict, /v1/models/MODEL/versions/N:predict or /v1/models/MODEL/labels/LABEL:predict"
        )
    model, version, label, verb = match.groups()
    if verb.lower() not in VERBS:
        raise UnknownVerb(f"there is no verb :{verb}; there is {listed([f':{one}' for one in VERBS])}")
    return Target(model, VersionChoice(_number(version), label), verb.lower())


@functools.lru_cache(maxsize=_REMEMBERED)
def normal(path: str) -> str:
    """A path under ``/v1/models`` with its fixed parts in lower case; any other path as it is."""
    match = _V1_OTHER.fullmatch(path)
    if match is None:
        return path
    model, version, label, what = match.groups()
    parts = ("", model), ("versions/", version), ("labels/", label), ("", what and what.lower())
    return "/".join(["/v1/models", *(f"{before}{part}" for before, part in parts if part)])


@functools.lru_cache(maxsize=_REMEMBERED)
def error_form(path: str) -> Form:
    """Whose form an error has on this path."""
    if path == "/v2" or path.startswith("/v2/"):
        return Form.PLAIN
    if path in _IN_BODY:
        return Form.OPENAI
    if path.rpartition(":")[2].lower() in _TENSORFLOW_VERBS:
        return Form.PLAIN
    match = _V1_OTHER.fullmatch(path)
    status_or_metadata = match is not None and match[1] and (match[4] or "metadata").lower() == "metadata"
    return Form.PLAIN if status_or_metadata else Form.NATIVE


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) < 20 and int(version) < 2**63):
        raise UnknownVersion(f"a version is a whole number below 2**63, not {version[:40]!r}")
    return int(version)
