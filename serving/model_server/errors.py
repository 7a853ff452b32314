"""The errors of the model server: one class with a gRPC status code, made by one function for each code.

Messages are TensorFlow Serving's own words where it has a message for the case.
"""

from serving.tfs_api.status_codes import Code

_MAX_MESSAGE_BYTES = 1024
_TRUNCATED = "...TRUNCATED"


class ServingError(Exception):
    """An error with a gRPC status code, for a client or the log of the start."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def message(self) -> str:
        """The text as clients receive it: the first 1,024 bytes (grpc_status_util.cc)."""
        text = str(self).encode("utf-8", "replace")  # names of files may be no UTF-8
        message = text[:_MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
        return message if len(text) <= _MAX_MESSAGE_BYTES else message + _TRUNCATED

    def describe(self) -> str:
        """Return code and text as TensorFlow's ``Status::ToString`` prints them: ``NOT_FOUND: no such file``."""
        return f"{self.code.name}: {self}"


def invalid_argument(text: str) -> ServingError:
    """Make the error of a request or a setting that is wrong in any state of the server."""
    return ServingError(Code.INVALID_ARGUMENT, text)


def not_found(text: str) -> ServingError:
    """Make the error of a missing model, version or file."""
    return ServingError(Code.NOT_FOUND, text)


def failed_precondition(text: str) -> ServingError:
    """Make the error of a request that this version, or the current state, does not allow."""
    return ServingError(Code.FAILED_PRECONDITION, text)


def data_loss(text: str) -> ServingError:
    """Make the error of a damaged file."""
    return ServingError(Code.DATA_LOSS, text)


def permission_denied(text: str) -> ServingError:
    """Make the error of a version without the required signature file."""
    return ServingError(Code.PERMISSION_DENIED, text)


def unimplemented(text: str) -> ServingError:
    """Make the error of a feature that this server lacks."""
    return ServingError(Code.UNIMPLEMENTED, text)


def resource_exhausted(text: str) -> ServingError:
    """Make the error of a request beyond a limit on concurrency, size or waiting time."""
    return ServingError(Code.RESOURCE_EXHAUSTED, text)


def deadline_exceeded(text: str) -> ServingError:
    """Make the error of a request that took too long."""
    return ServingError(Code.DEADLINE_EXCEEDED, text)


def unavailable(text: str) -> ServingError:
    """Make the error of a temporary state; a retry may succeed."""
    return ServingError(Code.UNAVAILABLE, text)


def internal(text: str) -> ServingError:
    """Make the error of a failure inside the server or an engine."""
    return ServingError(Code.INTERNAL, text)


def unknown(text: str) -> ServingError:
    """Make the error of every other failure."""
    return ServingError(Code.UNKNOWN, text)
