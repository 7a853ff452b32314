"""What can go wrong, and the status code that each kind has on the wire.

    ServingError
    ├── InvalidArgument      the request is wrong, whatever the server's state
    ├── NotFound             no such model, version or file
    ├── FailedPrecondition   not now: no such signature in this version, a label on a version that is not loaded
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

import grpc

_LONGEST = 1024
_CUT = "...TRUNCATED"


class ServingError(Exception):
    """Base of all errors that a caller or the start-up may see."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    @property
    def message(self) -> str:
        """The text as it goes out; TensorFlow Serving cuts at 1024 characters (grpc_status_util.cc)."""
        text = str(self)
        return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT

    @property
    def number(self) -> int:
        """The code as a number, the same in gRPC and in tensorflow.error.Code."""
        return int(self.code.value[0])

    def describe(self) -> str:
        """As Status::ToString prints it: ``NOT_FOUND: no such file``."""
        return f"{self.code.name}: {self}"


class InvalidArgument(ServingError):
    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(ServingError):
    code = grpc.StatusCode.NOT_FOUND


class FailedPrecondition(ServingError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class DataLoss(ServingError):
    code = grpc.StatusCode.DATA_LOSS


class PermissionDenied(ServingError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unimplemented(ServingError):
    code = grpc.StatusCode.UNIMPLEMENTED


class DeadlineExceeded(ServingError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(ServingError):
    code = grpc.StatusCode.UNAVAILABLE


class ResourceExhausted(ServingError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Internal(ServingError):
    code = grpc.StatusCode.INTERNAL


class Unknown(ServingError):
    code = grpc.StatusCode.UNKNOWN


_BY_NUMBER: dict[int, type[ServingError]] = {
    int(kind.code.value[0]): kind for kind in ServingError.__subclasses__() if kind is not Unknown
}


def for_number(number: int, message: str) -> ServingError:
    """The error of a tensorflow.error.Code."""
    return _BY_NUMBER.get(number, Unknown)(message)
