"""What a failure of the model server is called."""

import pytest

from serving.gateway import errors
from serving.gateway.channel import RpcError
from serving.gateway.upstream import failure
from serving.grpc_protocol import Code

FULL = "The batch scheduling queue to which this task was submitted is full; currently 10 batches enqueued"


@pytest.mark.parametrize(
    ("code", "details", "kind", "sentence"),
    [
        (Code.UNAVAILABLE, "[Errno 111] Connect call failed", errors.Unavailable, "cannot be reached"),
        (Code.UNAVAILABLE, FULL, errors.Overloaded, "no free place"),
        (Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded", errors.Overloaded, "no free place"),
        (Code.DEADLINE_EXCEEDED, "", errors.DeadlineExceeded, "within the deadline"),
        (Code.NOT_FOUND, "Servable not found", errors.VersionGone, "Servable not found"),
        (Code.INVALID_ARGUMENT, "a\n b", errors.BadTensor, "the model refused the input: a b"),
        (Code.UNIMPLEMENTED, "", errors.Unimplemented, "does not know the call"),
        (Code.INTERNAL, "boom", errors.BadUpstream, "INTERNAL"),
    ],
)
def test_failures(code: Code, details: str, kind: type[errors.GatewayError], sentence: str) -> None:
    made = failure(RpcError(code, details), "models:8500")
    assert type(made) is kind and sentence in made.message
    assert "Errno" not in made.message, "places and the connection's own words stay here"
