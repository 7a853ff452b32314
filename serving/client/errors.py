"""The one error that callers see."""

import httpx


class VitrineError(Exception):
    """The gateway refused, failed or could not be reached; the message is its own sentence.

    ``status`` is the HTTP status, None where there was no answer. ``code`` names the kind of error (``bad_picture``,
    ``unknown_model``, ``overloaded``, …; ``unreachable`` and ``timeout`` where there was no answer, ``error`` where the
    answer names none). ``request_id`` finds the request in the gateway's log.
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
        body = response.json()
        return VitrineError(str(body["error"]), str(body.get("code", "error")), response.status_code, request_id)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = f"{response.url} answered {response.status_code}: {response.text[:500]}"
        return VitrineError(text, "error", response.status_code, request_id)


def from_unreadable(response: httpx.Response, error: Exception) -> VitrineError:
    """The error where a success is none of the gateway's."""
    text = f"{response.url} does not answer as the gateway does: {error}"
    return VitrineError(text, "error", response.status_code, response.headers.get("x-request-id"))


def from_failure(error: httpx.HTTPError, url: str) -> VitrineError:
    """The error where there was no answer."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return VitrineError(f"{url} did not answer in time", "timeout")
    return VitrineError(f"{url} cannot be reached ({error or type(error).__name__})", "unreachable")
