"""Errors of the gateway. Each message says in one sentence what is wrong and what is expected.

    GatewayError
    ├── InvalidInput            the request's input cannot be used
    │   ├── BadPicture            no picture, truncated, animated, or too many pixels
    │   ├── BadDocument           malformed JSON, base64, multipart or npy; a missing or unknown key, a wrong type
    │   ├── BadTensor             names, type, rank, size, rows or values that do not fit the signature
    │   └── BadOption             a query parameter or header out of its range
    ├── Unauthorized            the request has no valid key
    ├── Forbidden               the key does not allow this
    ├── NotFound                the request names something that does not exist; the message lists what exists
    │   ├── UnknownPath
    │   ├── UnknownModel
    │   ├── UnknownVersion
    │   ├── UnknownLabel
    │   ├── UnknownSignature
    │   └── UnknownVerb           no such verb, or the model does not offer it
    ├── MethodNotAllowed        the path has another method
    ├── Conflict                the versions of the model do not allow the change
    │   └── ReadOnly              the exports folder cannot be written
    ├── TooMany                 the key's rate limit is reached
    ├── TooLate                 the request body did not arrive before the deadline
    ├── TooLarge                the request body is over the limit
    ├── UnsupportedMedia        a content type or encoding that the gateway does not read
    ├── Unavailable             the model or its server does not answer now; a retry helps
    │   ├── Overloaded            a limit is reached, or the request cannot meet its deadline
    │   └── VersionGone           the version was unloaded after the request was routed to it
    ├── Unimplemented           the model server does not support the call, or cannot serve the version
    ├── DeadlineExceeded        no response before the deadline
    └── BadUpstream             the model server failed, or sent a response that is not valid
        └── BadOutput             an output holds NaN or infinity, which JSON cannot represent

``http/error_responses.py`` maps the tree to HTTP.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

_LONGEST = 2000  # characters of a message
_LONGEST_NAME = 200  # characters of a name that a request made up


class GatewayError(Exception):
    """Base of all errors that the gateway raises on purpose.

    ``retry_after`` is the time after which a retry may succeed, in seconds, if it is known.
    """

    code = "error"
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        """Create an error. A long message is cut: it may repeat much of a request."""
        if len(message) > _LONGEST:
            message = message[:_LONGEST] + "…"
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy without the constructor: subclasses add arguments to it."""
        return type(self).__new__, (type(self), self.message), self.__dict__

    @property
    def reason(self) -> str:
        """Label of the error in metrics."""
        return self.code


class InvalidInput(GatewayError):
    """The request's input cannot be used."""

    code = "invalid_input"


class BadPicture(InvalidInput):
    """Input that is no picture, or one that cannot be accepted."""

    code = "bad_picture"


class BadDocument(InvalidInput):
    """A malformed body."""

    code = "bad_document"


class BadTensor(InvalidInput):
    """Tensors that do not fit the signature."""

    code = "bad_tensor"


class BadOption(InvalidInput):
    """A query parameter or header out of its range."""

    code = "bad_option"


class Unauthorized(GatewayError):
    """The request has no valid key."""

    code = "unauthorized"


class Forbidden(GatewayError):
    """The key does not allow this."""

    code = "forbidden"


class NotFound(GatewayError):
    """The request names something that does not exist."""

    code = "not_found"


class UnknownPath(NotFound):
    """No such path."""

    code = "unknown_path"


class UnknownModel(NotFound):
    """No such model."""

    code = "unknown_model"


class UnknownVersion(NotFound):
    """No such version of the model."""

    code = "unknown_version"


class UnknownLabel(NotFound):
    """No such label of the model."""

    code = "unknown_label"


class UnknownSignature(NotFound):
    """No such signature of the version."""

    code = "unknown_signature"


class UnknownVerb(NotFound):
    """No such verb, or the model does not offer it."""

    code = "unknown_verb"


class MethodNotAllowed(GatewayError):
    """The path has another method."""

    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(GatewayError):
    """The versions of the model do not allow the change."""

    code = "conflict"


class ReadOnly(Conflict):
    """The exports folder cannot be written."""

    code = "read_only"


class TooMany(GatewayError):
    """The key's rate limit is reached."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLate(GatewayError):
    """The request body did not arrive before the deadline."""

    code = "too_late"


class TooLarge(GatewayError):
    """The request body is over the limit."""

    code = "too_large"


class UnsupportedMedia(GatewayError):
    """A content type or encoding that the gateway does not read."""

    code = "unsupported_media_type"


class Unavailable(GatewayError):
    """The model or its server does not answer now."""

    code = "unavailable"


class Overloaded(Unavailable):
    """A limit is reached, or the request cannot meet its deadline."""

    code = "overloaded"

    def __init__(self, message: str, bound: str) -> None:
        """``bound`` names the limit that was reached."""
        super().__init__(message)
        self.bound = bound

    @property
    def reason(self) -> str:
        """Label of the error in metrics."""
        return f"overloaded_{self.bound}"


class VersionGone(Unavailable):
    """The version was unloaded after the request was routed to it."""

    code = "version_gone"


class Unimplemented(GatewayError):
    """The model server does not support the call, or cannot serve the version."""

    code = "unimplemented"


class DeadlineExceeded(GatewayError):
    """No response before the deadline."""

    code = "deadline_exceeded"


class BadUpstream(GatewayError):
    """The model server failed, or sent a response that is not valid."""

    code = "bad_upstream"


class BadOutput(BadUpstream):
    """An output holds NaN or infinity."""

    code = "bad_output"


def difference(expected: Collection[str], given: Collection[str]) -> str:
    """Missing and unknown names for a message: ``missing: a; unknown: b``."""
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    return "; ".join(
        f"{what}: {listed(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names
    )


def listed(names: object, none: str = "none") -> str:
    """At most twenty names for a message, in their order: ``a, b, c``."""
    items = list(names) if isinstance(names, (list, tuple, set, frozenset, dict)) else [names]
    more = f" and {len(items) - 20} more" if len(items) > 20 else ""
    return ", ".join([shown(str(name)) for name in items[:20]]) + more if items else none


def field_error(error: Mapping[str, Any], whole: str = "the body") -> str:
    """Return a sentence about a field that pydantic has rejected, with its value if that is short.

    Args:
        error: one of pydantic's ``ErrorDetails``.
        whole: name of the document.
    """
    name, value = ".".join(map(str, error["loc"])) or whole, error["input"]
    match error["type"]:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name} is not a known field"
        case "value_error":
            return f"{name}: {error['ctx']['error']}"
    if isinstance(value, str):
        name = f"{name} is {shown(value)!r}"
    elif isinstance(value, (int, float)):
        name = f"{name} is {shown(json.dumps(value))}"
    return f"{name}: {error['msg'].replace('Input should', 'it should', 1)}"


def shown(text: str) -> str:
    """Text of a request for a message, cut if it is longer than any sensible name."""
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"
