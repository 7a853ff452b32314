"""Errors as HTTP: the status of each class of error, and its body in the form of the API that was called."""

from typing import Any

import orjson

from serving.gateway import errors
from serving.gateway.errors import GatewayError
from serving.gateway.http.paths import Form
from serving.gateway.http.request import Header, Response

STATUS: dict[type[GatewayError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.UnknownSignature: 400,  # the signature is in the body, not in the path
    errors.UnknownLabel: 400,  # as in TensorFlow Serving
    errors.MethodNotAllowed: 405,
    errors.TooLate: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.TooMany: 429,
    errors.Unimplemented: 501,
    errors.BadUpstream: 502,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
    GatewayError: 500,
}


def status_of(error: GatewayError) -> int:
    """Return the HTTP status of an error: that of its nearest class with one."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def error_response(error: GatewayError, request_id: str, retry_after: int, form: Form) -> Response:
    """Convert an error to HTTP, in the form of the API that was called."""
    status = status_of(error)
    headers: list[Header] = []
    if status in (429, 503):
        headers.append((b"retry-after", b"%d" % (error.retry_after or retry_after)))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="vitrine"'))
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode("ascii")))
    return Response(status, orjson.dumps(_error_document(error, status, request_id, form)), headers=headers)


def _error_document(error: GatewayError, status: int, request_id: str, form: Form) -> dict[str, Any]:
    match form:
        case Form.NATIVE:
            return {"error": error.message, "code": error.code, "request_id": request_id}
        case Form.PLAIN:
            return {"error": error.message}
        case Form.OPENAI:
            kind = "invalid_request_error" if status < 500 else "server_error"
            return {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}
