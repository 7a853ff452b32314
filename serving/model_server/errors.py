"""What can go wrong, and the status code that each kind has on the wire.

    ServingError
    ├── InvalidArgument      the request is wrong, whatever the server's state
    ├── NotFound             no such model, version or file
    ├── FailedPrecondition   not now: no such signature in this version, a label on a version that is not loaded
    ├── OutOfRange           a file ends too early
    ├── DataLoss             a file is damaged
    ├── PermissionDenied     a version without the signature that it must bear
    ├── Unimplemented        not served here
    ├── ResourceExhausted    more at once than is allowed, or it waited too long to be run
    ├── DeadlineExceeded     it took longer than was allowed
    ├── Unavailable          try again
    ├── Internal             an engine failed
    └── Unknown              everything else

Messages are TensorFlow Serving's own, word for word, where it has one for the case.
"""

from typing import ClassVar

from serving.tfs_api.status_codes import Code

_LONGEST = 1024
_CUT = "...TRUNCATED"


class ServingError(Exception):
    """Base of all errors that a caller or the start-up may see."""

    code: ClassVar[Code] = Code.UNKNOWN

    @property
    def message(self) -> str:
        """The text as it is sent: its first 1,024 bytes (grpc_status_util.cc)."""
        text = str(self).encode("utf-8", "surrogateescape")
        return str(self) if len(text) <= _LONGEST else text[:_LONGEST].decode("utf-8", "ignore") + _CUT

    @property
    def number(self) -> int:
        """The code as a number."""
        return int(self.code)

    def describe(self) -> str:
        """As Status::ToString prints it: ``NOT_FOUND: no such file``."""
        return f"{self.code.name}: {self}"


class InvalidArgument(ServingError):
    code = Code.INVALID_ARGUMENT


class NotFound(ServingError):
    code = Code.NOT_FOUND


class FailedPrecondition(ServingError):
    code = Code.FAILED_PRECONDITION


class OutOfRange(ServingError):
    code = Code.OUT_OF_RANGE


class DataLoss(ServingError):
    code = Code.DATA_LOSS


class PermissionDenied(ServingError):
    code = Code.PERMISSION_DENIED


class Unimplemented(ServingError):
    code = Code.UNIMPLEMENTED


class DeadlineExceeded(ServingError):
    code = Code.DEADLINE_EXCEEDED


class Unavailable(ServingError):
    code = Code.UNAVAILABLE


class ResourceExhausted(ServingError):
    code = Code.RESOURCE_EXHAUSTED


class Internal(ServingError):
    code = Code.INTERNAL


class Unknown(ServingError):
    code = Code.UNKNOWN


_BY_NUMBER: dict[int, type[ServingError]] = {
    int(kind.code): kind for kind in ServingError.__subclasses__() if kind is not Unknown
}


def for_number(number: int, message: str) -> ServingError:
    """The error of a tensorflow.error.Code."""
    return _BY_NUMBER.get(number, Unknown)(message)
