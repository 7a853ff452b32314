"""Page of the gateway's errors."""

import grpc

from serving.gateway import errors
from serving.gateway.errors import GatewayError
from serving.gateway.http.error_responses import status_of
from serving.gateway.oip_grpc.calls import CODES
from tests.docs.reference.markdown import code, page, table

_INTRODUCTION = """
An error is one sentence that says what is wrong and what is expected. The native API answers with `{"error": "…",
"code": "…", "request_id": "…"}`; the other APIs have their own forms around the same sentence
([protocols](apis.md#errors)). `vitrine_refused_total` in [`/metrics`](metrics.md) counts errors by code.
"""

_RETRIES = """
Retry 429 and 503 after the seconds in `Retry-After`, 408 and 504 at once if the work is worth it, and no other. A
request changes nothing, so that a retry is always safe.

A connection that the client closes first has the code `client_gone` in the metrics. A message above 2,000 characters
is cut.
"""


def render() -> str:
    """Return the page."""
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, GatewayError)]
    found = [one.__new__(one) for one in classes]  # without the constructors' arguments
    rows = [
        (str(status_of(error)), _grpc_code(status_of(error)), code(error.code), _meaning(type(error)))
        for error in sorted(found, key=status_of)
    ]
    return page(
        "Errors",
        "serving/gateway/errors.py, http/error_responses.py and oip_grpc/calls.py",
        _INTRODUCTION,
        table(("status", "by gRPC", "code", "meaning"), rows),
        _RETRIES,
    )


def _grpc_code(status: int) -> str:
    return CODES.get(status, grpc.StatusCode.INTERNAL).name


def _meaning(error: type[GatewayError]) -> str:
    if error is GatewayError:
        return "The gateway failed; its log has the reason under the request id."
    return (error.__doc__ or "").partition("\n")[0]
