"""The one error that callers see."""

import json

import httpx

_LONGEST = 2000  # characters of an answer that are quoted


class VitrineError(Exception):
    """A call failed, or nothing was sent.

    ``status`` is the HTTP status, None where there was no answer. ``code`` names the kind of error:

    - the gateway's own: ``bad_picture``, ``unknown_model``, ``overloaded``, …; ``error`` where the answer names none
    - no answer: ``unreachable``, ``timeout``, ``closed``; ``answer_too_large`` where it is over the client's limit
    - nothing sent: ``bad_picture``, ``invalid_input`` (other data), ``bad_option`` (everything else)

    ``request_id`` finds the request in the gateway's log.
    """

    def __init__(self, message: str, code: str, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id


def from_response(response: httpx.Response) -> VitrineError:
    """The error that an answer holds, in whichever form; or that it sends the caller elsewhere."""
    request_id = response.headers.get("x-request-id")
    if response.has_redirect_location:
        text = f"{response.url} sends its callers to {response.headers['location']}; give the client that address"
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
    """The error where a success is none of the gateway's."""
    text = f"{response.url} does not answer as the gateway does: {error}"
    return VitrineError(text, "error", response.status_code, response.headers.get("x-request-id"))


def too_large(response: httpx.Response, most: int) -> VitrineError:
    """The error where an answer is over the client's limit."""
    text = f"{response.url} answers with more than {most} bytes, which max_answer_bytes allows"
    return VitrineError(text, "answer_too_large", response.status_code, response.headers.get("x-request-id"))


def late(url: str) -> VitrineError:
    """The error for a call whose time ran out."""
    return VitrineError(f"{url} did not answer in time", "timeout")


def from_failure(error: Exception, url: str) -> VitrineError:
    """The error where there was no answer."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return late(url)
    return VitrineError(f"{url} cannot be reached ({error or type(error).__name__})", "unreachable")
