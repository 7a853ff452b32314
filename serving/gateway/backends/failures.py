"""Status codes of the model server as errors of the gateway."""

from serving.gateway.errors import (
    BadTensor,
    BadUpstream,
    DeadlineExceeded,
    GatewayError,
    Overloaded,
    TooLarge,
    Unavailable,
    Unimplemented,
    VersionGone,
)
from serving.tfs_api.status_codes import Code

LATE = "the model server did not answer before the deadline"

_QUEUE_FULL = "batch scheduling queue"  # TensorFlow Serving's words for a full batching queue
# gRPC's own words on both sides. A repeated call would be refused again.
_REQUEST_TOO_LARGE, _RESPONSE_TOO_LARGE = "Received message larger than max", "Sent message larger than max"
_LONGEST_DETAILS = 300


def failure(code: Code, details: str, unreachable: str) -> GatewayError:
    """The gateway's error for a status code.

    The message repeats the model server's details, except those about connections, addresses and time. ``unreachable``
    is the message for a connection that failed.
    """
    details = " ".join(details.split())[:_LONGEST_DETAILS]
    match code:
        case Code.DEADLINE_EXCEEDED:
            return DeadlineExceeded(LATE)
        case Code.NOT_FOUND:
            return VersionGone(f"the model server no longer has the version: {details}")
        case Code.UNAVAILABLE | Code.RESOURCE_EXHAUSTED:
            return _unavailable(code, details, unreachable)
        case Code.CANCELLED:
            return Unavailable("the model server cancelled the call, as a server does that stops; try again")
        case Code.INVALID_ARGUMENT | Code.FAILED_PRECONDITION | Code.OUT_OF_RANGE:
            return BadTensor(f"the model refused the input: {details}")
        case Code.UNIMPLEMENTED:
            return Unimplemented(f"the model server does not support this: {details or 'the method is unknown'}")
        case _:
            return BadUpstream(f"the model server failed ({code.name}): {details}")


def _unavailable(code: Code, details: str, unreachable: str) -> GatewayError:
    if code is Code.UNAVAILABLE and _QUEUE_FULL not in details:
        return Unavailable(unreachable)
    if _REQUEST_TOO_LARGE in details:
        return TooLarge(f"the model server refused the request: {details}; send fewer rows at once")
    if _RESPONSE_TOO_LARGE in details:
        return BadUpstream(f"the model server failed: {details}; request fewer rows at once")
    return Overloaded("the model server is at its limit of calls; try again", "model_server")
