"""What can go wrong, as one small tree. Each message is one sentence: what was wrong and what is expected.

    GatewayError
    ├── InvalidInput            the caller's input cannot be used
    │   ├── BadPicture            not a picture, truncated, animated, too many pixels
    │   ├── BadDocument           malformed JSON, base64, multipart or npy; a key missing, unknown or of a wrong kind
    │   ├── BadTensor             wrong names, type, rank, size, row count or values for the signature
    │   └── BadOption             a query parameter or header out of its range
    ├── Unauthorized            a key is needed, and none was shown that is known
    ├── Forbidden               the key may not do that
    ├── NotFound                what the request names is not there; the message says what is
    │   ├── UnknownPath
    │   ├── UnknownModel
    │   ├── UnknownVersion
    │   ├── UnknownLabel
    │   ├── UnknownSignature
    │   └── UnknownVerb           no such verb, or the model does not offer it
    ├── MethodNotAllowed        the path exists, the method is another
    ├── TooMany                 more requests than the key's rate allows
    ├── TooLate                 the body did not come whole within the deadline
    ├── TooLarge                the body is over the limit
    ├── UnsupportedMedia        the content type or encoding is none that is read here
    ├── Unavailable             the model or its server does not answer now; trying again helps
    │   ├── Overloaded            all places are taken, or the request could not be served before its deadline
    │   └── VersionGone           the version was unloaded after the request was routed to it
    ├── Unimplemented           the model server does not know the call
    ├── DeadlineExceeded        no answer within the deadline
    └── BadUpstream             the model server failed, or answered something that is no valid answer
        └── BadOutput             an output holds NaN or infinity, which JSON cannot carry

``edge.py`` maps the tree to HTTP.
"""

from collections.abc import Collection
from typing import Any

_LONGEST = 2000  # characters of a message
_LONGEST_NAME = 200  # characters of a name that a request made up


class GatewayError(Exception):
    """Everything that the gateway raises on purpose. ``retry_after`` is when trying again may help, in whole seconds,
    where that is known."""

    code = "error"
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        """A message that repeats much of a request is cut."""
        if len(message) > _LONGEST:
            message = message[:_LONGEST] + "…"
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied past the constructor, to which subclasses add arguments."""
        return type(self).__new__, (type(self), self.message), self.__dict__

    @property
    def reason(self) -> str:
        """The label under which it is counted."""
        return self.code


class InvalidInput(GatewayError):
    code = "invalid_input"


class BadPicture(InvalidInput):
    code = "bad_picture"


class BadDocument(InvalidInput):
    code = "bad_document"


class BadTensor(InvalidInput):
    code = "bad_tensor"


class BadOption(InvalidInput):
    code = "bad_option"


class Unauthorized(GatewayError):
    code = "unauthorized"


class Forbidden(GatewayError):
    code = "forbidden"


class NotFound(GatewayError):
    code = "not_found"


class UnknownPath(NotFound):
    code = "unknown_path"


class UnknownModel(NotFound):
    code = "unknown_model"


class UnknownVersion(NotFound):
    code = "unknown_version"


class UnknownLabel(NotFound):
    code = "unknown_label"


class UnknownSignature(NotFound):
    code = "unknown_signature"


class UnknownVerb(NotFound):
    code = "unknown_verb"


class MethodNotAllowed(GatewayError):
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class TooMany(GatewayError):
    code = "too_many_requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLate(GatewayError):
    code = "too_late"


class TooLarge(GatewayError):
    code = "too_large"


class UnsupportedMedia(GatewayError):
    code = "unsupported_media_type"


class Unavailable(GatewayError):
    code = "unavailable"


class Overloaded(Unavailable):
    code = "overloaded"

    def __init__(self, message: str, bound: str) -> None:
        """``bound`` names what was reached."""
        super().__init__(message)
        self.bound = bound

    @property
    def reason(self) -> str:
        return f"overloaded_{self.bound}"


class VersionGone(Unavailable):
    code = "version_gone"


class Unimplemented(GatewayError):
    code = "unimplemented"


class DeadlineExceeded(GatewayError):
    code = "deadline_exceeded"


class BadUpstream(GatewayError):
    code = "bad_upstream"


class BadOutput(BadUpstream):
    code = "bad_output"


def difference(expected: Collection[str], given: Collection[str]) -> str:
    """What is missing and what is unknown among names, for a sentence: ``missing: a; unknown: b``."""
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    return "; ".join(
        f"{what}: {listed(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names
    )


def listed(names: object, none: str = "none") -> str:
    """Names for a sentence, in their order: ``a, b, c``, at most twenty."""
    items = list(names) if isinstance(names, (list, tuple, set, frozenset, dict)) else [names]
    more = f" and {len(items) - 20} more" if len(items) > 20 else ""
    return ", ".join([shown(str(name)) for name in items[:20]]) + more if items else none


def shown(text: str) -> str:
    """A text from a request for a sentence, cut where no sensible one is as long."""
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"
