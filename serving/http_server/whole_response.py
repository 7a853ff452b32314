"""A response in one call, beside the ASGI messages.

An application sends a response by two messages, and uvicorn searches each header for invalid characters. For a small
response that takes longer than reading its request. Under uvicorn, the same bytes can go out by one call.
"""

from collections.abc import Sequence

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


def respond(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Send a response.

    Args:
        send: the application's ASGI function.
        status: HTTP status.
        headers: names in lower case and values, among them the content-length of the body.
        body: all of it.

    Returns:
        Whether it was sent, or the client has disconnected. If not, ASGI messages are needed: ``send`` is not
        uvicorn's own, the client reads too slowly, or the method is HEAD.

    Raises:
        ValueError: a header has a line break.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return False
    if cycle.disconnected:
        return True
    if cycle.flow.write_paused or cycle.response_started or cycle.scope["method"] == "HEAD":
        return False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        parts += (name, b": ", value, b"\r\n")
    head = b"".join(parts)
    if not head.count(b"\r") == head.count(b"\n") == len(parts) // 4 + 1:
        raise ValueError(f"a header has a line break: {head!r}")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(head + (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"))
    cycle.transport.write(body)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
