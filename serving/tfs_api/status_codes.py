"""Status codes, the same in gRPC and in tensorflow.error.Code.

Source: grpc/doc/statuscodes.md.
"""

from enum import IntEnum


class Code(IntEnum):
    """A gRPC status code."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def from_number(cls, number: str | int) -> "Code":
        """Return the code of a number, or UNKNOWN if the number has none."""
        try:
            return cls(int(number))
        except ValueError:
            return cls.UNKNOWN
