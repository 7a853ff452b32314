"""Errors of the gateway for status codes of the model server."""

import pytest

from serving.gateway import errors
from serving.gateway.backends.failures import failure
from serving.tfs_api.status_codes import Code

FULL = "The batch scheduling queue to which this task was submitted is full; currently 10 batches enqueued"


@pytest.mark.parametrize(
    ("code", "details", "kind", "part"),
    [
        (Code.UNAVAILABLE, "[Errno 111] Connect call failed", errors.Unavailable, "cannot be reached"),
        (Code.UNAVAILABLE, FULL, errors.Overloaded, "at its limit of calls"),
        (Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded", errors.Overloaded, "at its limit of calls"),
        (Code.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", errors.TooLarge, "fewer rows at once"),
        (Code.RESOURCE_EXHAUSTED, "Sent message larger than max (9 vs. 4)", errors.BadUpstream, "fewer rows at once"),
        (Code.DEADLINE_EXCEEDED, "", errors.DeadlineExceeded, "before the deadline"),
        (Code.NOT_FOUND, "Servable not found", errors.VersionGone, "Servable not found"),
        (Code.INVALID_ARGUMENT, "a\n b", errors.BadTensor, "the model refused the input: a b"),
        (
            Code.FAILED_PRECONDITION,
            "different shapes",
            errors.BadTensor,
            "the model refused the input: different shapes",
        ),
        (Code.UNIMPLEMENTED, "", errors.Unimplemented, "the method is unknown"),
        (Code.CANCELLED, "CANCELLED", errors.Unavailable, "cancelled the call"),
        (Code.INTERNAL, "boom", errors.BadUpstream, "INTERNAL"),
    ],
)
def test_failures(code: Code, details: str, kind: type[errors.GatewayError], part: str) -> None:
    error = failure(code, details, "the model server at models:8500 cannot be reached")
    assert type(error) is kind and part in error.message
    assert "Errno" not in error.message, "messages do not repeat details about connections"
