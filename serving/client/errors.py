"""The client's only exception, and how it is made."""

import json

import httpx

_LONGEST = 2000  # characters of a response in a message


class VitrineError(Exception):
    """A call failed, or its arguments cannot be sent.

    Attributes:
        message: What is wrong.
        code: Kind of error. The gateway's own (``bad_picture``, ``unknown_model``, ``overloaded``, …), or ``error`` if
            the response names none. Without a response: ``unreachable``, ``timeout``, ``closed``, or
            ``answer_too_large`` above the client's limit. If nothing was sent: ``bad_picture``, ``invalid_input``
            (other data) or ``bad_option`` (everything else).
        status: HTTP status, or None without a response.
        request_id: Id of the request in the gateway's log, if known.
    """

    def __init__(self, message: str, code: str, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id


def from_response(response: httpx.Response) -> VitrineError:
    """Make the error of an unsuccessful response: the gateway's, another server's, or a redirect."""
    request_id = response.headers.get("x-request-id")
    if response.has_redirect_location:
        text = f"{response.url} redirects to {response.headers['location']}; give the client that address"
        return VitrineError(text, "error", response.status_code, request_id)
    try:
        body = json.loads(response.content)
        code = str(body.get("code", "error"))
        return VitrineError(str(body["error"])[:_LONGEST], code, response.status_code, request_id)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        text = response.content[:_LONGEST].decode(errors="replace")
        text = f"{response.url} answered {response.status_code}: {text}"
        return VitrineError(text, "error", response.status_code, request_id)


def from_unreadable(response: httpx.Response, error: Exception) -> VitrineError:
    """Make the error of a successful response that does not have the gateway's form."""
    text = f"{response.url} does not answer like the gateway: {error}"
    return VitrineError(text, "error", response.status_code, response.headers.get("x-request-id"))


def too_large(response: httpx.Response, limit: int) -> VitrineError:
    """Make the error of a response above the client's size limit."""
    text = f"the response of {response.url} exceeds {limit} bytes; max_answer_bytes raises the limit"
    return VitrineError(text, "answer_too_large", response.status_code, response.headers.get("x-request-id"))


def timed_out(url: str) -> VitrineError:
    """Make the error of a call that exceeded its time-out."""
    return VitrineError(f"{url} did not answer in time", "timeout")


def from_failure(error: Exception, url: str) -> VitrineError:
    """Make the error of a call without a response."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return timed_out(url)
    return VitrineError(f"{url} cannot be reached ({error or type(error).__name__})", "unreachable")
