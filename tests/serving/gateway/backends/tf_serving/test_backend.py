"""What a failure of the model server is called."""

import pytest

from serving.gateway import errors
from serving.gateway.backends.tf_serving.backend import failure
from serving.gateway.backends.tf_serving.grpc_client import MessageTooLarge, RpcError
from serving.tfs_api.status_codes import Code

FULL = "The batch scheduling queue to which this task was submitted is full; currently 10 batches enqueued"


@pytest.mark.parametrize(
    ("code", "details", "kind", "sentence"),
    [
        (Code.UNAVAILABLE, "[Errno 111] Connect call failed", errors.Unavailable, "cannot be reached"),
        (Code.UNAVAILABLE, FULL, errors.Overloaded, "no free place"),
        (Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded", errors.Overloaded, "no free place"),
        (Code.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", errors.TooLarge, "fewer rows at once"),
        (Code.RESOURCE_EXHAUSTED, "Sent message larger than max (9 vs. 4)", errors.BadUpstream, "fewer rows at once"),
        (Code.DEADLINE_EXCEEDED, "", errors.DeadlineExceeded, "within the deadline"),
        (Code.NOT_FOUND, "Servable not found", errors.VersionGone, "Servable not found"),
        (Code.INVALID_ARGUMENT, "a\n b", errors.BadTensor, "the model refused the input: a b"),
        (
            Code.FAILED_PRECONDITION,
            "different shapes",
            errors.BadTensor,
            "the model refused the input: different shapes",
        ),
        (Code.UNIMPLEMENTED, "", errors.Unimplemented, "does not know the call"),
        (Code.INTERNAL, "boom", errors.BadUpstream, "INTERNAL"),
    ],
)
def test_failures(code: Code, details: str, kind: type[errors.GatewayError], sentence: str) -> None:
    made = failure(RpcError(code, details), "models:8500")
    assert type(made) is kind and sentence in made.message
    assert "Errno" not in made.message, "places and the connection's own words stay here"


def test_an_answer_over_the_limit_is_the_model_servers_failure() -> None:
    made = failure(MessageTooLarge(Code.RESOURCE_EXHAUSTED, "the answer is larger than 9 bytes"), "models:8500")
    assert type(made) is errors.BadUpstream
    assert "larger than 9 bytes" in made.message and "VITRINE_MAX_ANSWER_BYTES" in made.message
