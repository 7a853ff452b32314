"""A request's body in one call, beside the ASGI messages.

Most bodies have arrived when the application asks for them. Under uvicorn they can be taken without a message and the
wait for it.
"""

from starlette.types import Receive
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def body(receive: Receive) -> bytes | None:
    """Take the body of a request, once.

    Args:
        receive: the application's ASGI function.

    Returns:
        All of the body. None if ASGI messages are needed: a part is missing or was received before, the client has
        disconnected or waits for "100 Continue", or ``receive`` is not uvicorn's own.
    """
    cycle = getattr(receive, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return None
    if cycle.more_body or cycle.disconnected or cycle.response_complete or cycle.waiting_for_100_continue:
        return None
    if not cycle.message_event.is_set():
        return None
    found, cycle.body = bytes(cycle.body), bytearray()
    cycle.message_event.clear()
    cycle.flow.resume_reading()
    return found
