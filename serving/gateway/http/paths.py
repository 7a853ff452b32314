"""Paths of inference requests: model, version and verb.

Paths under ``/v1/models`` are TensorFlow Serving's. As there, their fixed parts are not case-sensitive.
"""

import functools
import re
from dataclasses import dataclass
from enum import Enum

from serving.gateway.errors import UnknownPath, UnknownVerb, UnknownVersion, listed
from serving.gateway.models.routing import VersionChoice


class Form(Enum):
    """The form of an error response on a path, unless the body decides."""

    NATIVE = "native"
    PLAIN = "plain"  # TensorFlow Serving and the Open Inference Protocol: the message alone
    OPENAI = "openai"  # OpenAI and KServe's time series


#: Inference verbs of ``/v1/models/…:verb``.
VERBS = ("predict", "embed", "neighbours", "explain", "forecast", "classify", "regress")
#: Verbs with TensorFlow Serving's form only.
_TENSORFLOW_VERBS = frozenset({"classify", "regress"})
#: Verbs that change the versions of a model; ``api/admin.py`` answers them.
ADMIN_VERBS = ("promote", "canary", "rollback")
#: Verb of true labels; ``api/feedback.py`` answers it.
FEEDBACK = "feedback"
_COLD_SLASHES = 3  # these verbs name no version in the path
#: Verbs that FastAPI's routes answer.
COLD_VERBS = (*ADMIN_VERBS, FEEDBACK)
_COLD_ENDINGS = tuple(f":{verb}" for verb in COLD_VERBS)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of an inference request.

    Attributes:
        model: empty if the path names no model.
        choice: version, label or neither.
        verb: one of :data:`VERBS`, ``infer`` (Open Inference Protocol), ``embeddings`` (OpenAI), ``timeseries``
            (KServe) or ``invoke`` (hosting platforms).
    """

    model: str
    choice: VersionChoice
    verb: str

    @property
    def scope(self) -> str:
        """The native verb that a key needs. Requests with tensors need ``predict``."""
        return _SCOPES.get(self.verb, self.verb)


_CACHED_PATHS = 128  # few, because an attacker's path may be as long as a request's head
_SCOPES = {
    "classify": "predict",
    "regress": "predict",
    "infer": "predict",
    "embeddings": "embed",
    "timeseries": "forecast",
    "invoke": "predict",
}

#: gRPC's path of each RPC is the service and the RPC's name.
GRPC_SERVICE = "/inference.GRPCInferenceService/"
#: Paths of the hosting platforms: inference with the default model, and its readiness.
INVOCATIONS, PING = "/invocations", "/ping"

_WITHOUT_MODEL = {
    "/v1/embeddings": Target("", VersionChoice(), "embeddings"),
    "/v1/timeseries/forecast": Target("", VersionChoice(), "timeseries"),
    f"{GRPC_SERVICE}ModelInfer": Target("", VersionChoice(), "infer"),
    INVOCATIONS: Target("", VersionChoice(), "invoke"),
}
# Possessive quantifiers: a path of 30 kB that does not match would take milliseconds of backtracking.
_VERSION_OR_LABEL = r"(?:/versions/([^/:]++)|/labels/([^/:]++))?"
_V1 = re.compile(rf"(?i:/v1/models)/([^/:]++)(?i:{_VERSION_OR_LABEL}):([^/:]++)")
_V1_OTHER = re.compile(rf"(?i:/v1/models)(?:/([^/:]++)(?i:{_VERSION_OR_LABEL})(?:/((?i:metadata|card|drift|ready)))?)?")
_V2 = re.compile(r"/v2/models/([^/]++)(?:/versions/([^/]++))?/infer")


def is_hot(path: str) -> bool:
    """Whether the middleware answers a path itself, valid or not."""
    if path.startswith("/v2/"):
        return path.endswith("/infer")
    return path in _WITHOUT_MODEL or (
        ":" in path
        and path[:11].lower() == "/v1/models/"
        and not (path.endswith(_COLD_ENDINGS) and path.count("/") == _COLD_SLASHES)
    )


@functools.lru_cache(maxsize=_CACHED_PATHS)
def parse_target(path: str) -> Target:
    """Parse a hot path.

    Raises:
        UnknownPath: the path has no known form.
        UnknownVerb: the verb does not exist.
        UnknownVersion: the version is not a number.
    """
    if path in _WITHOUT_MODEL:
        return _WITHOUT_MODEL[path]
    if path.startswith("/v2/"):
        match = _V2.fullmatch(path)
        if match is None:
            raise UnknownPath("unknown path; use /v2/models/MODEL/infer or /v2/models/MODEL/versions/N/infer")
        model, version = match.groups()
        return Target(model, VersionChoice(number(version), None), "infer")
    match = _V1.fullmatch(path)
    if match is None:
        raise UnknownPath(
            "unknown path; use /v1/models/MODEL:predict, /v1/models/MODEL/versions/N:predict or "
            "/v1/models/MODEL/labels/LABEL:predict"
        )
    model, version, label, verb = match.groups()
    if f":{verb}" in _COLD_ENDINGS:
        raise UnknownVerb(f":{verb} is unknown below versions and labels; use /v1/models/{model}:{verb}")
    if verb.lower() not in VERBS:
        raise UnknownVerb(f"unknown verb :{verb}; use {listed([f':{one}' for one in VERBS])}")
    return Target(model, VersionChoice(number(version), label), verb.lower())


@functools.lru_cache(maxsize=_CACHED_PATHS)
def normalize(path: str) -> str:
    """Convert the fixed parts of a path under ``/v1/models`` to lower case."""
    match = _V1_OTHER.fullmatch(path)
    if match is None:
        return path
    model, version, label, document = match.groups()
    parts = ("", model), ("versions/", version), ("labels/", label), ("", document and document.lower())
    return "/".join(["/v1/models", *(f"{before}{part}" for before, part in parts if part)])


@functools.lru_cache(maxsize=_CACHED_PATHS)
def error_form(path: str) -> Form:
    """Return the form of errors on this path."""
    if path == "/v2" or path.startswith(("/v2/", GRPC_SERVICE)):
        return Form.PLAIN
    if path in _WITHOUT_MODEL:
        return Form.NATIVE if path == INVOCATIONS else Form.OPENAI
    if path.rpartition(":")[2].lower() in _TENSORFLOW_VERBS:
        return Form.PLAIN
    match = _V1_OTHER.fullmatch(path)
    status_or_metadata = match is not None and match[1] and (match[4] or "metadata").lower() == "metadata"
    return Form.PLAIN if status_or_metadata else Form.NATIVE


def number(version: str | None) -> int | None:
    """Parse the number of a version.

    Raises:
        UnknownVersion: it is not a number.
    """
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) < 20 and int(version) < 2**63):
        raise UnknownVersion(f"a version is a whole number below 2**63, not {version[:40]!r}")
    return int(version)
