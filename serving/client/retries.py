"""When a failed request is made once more. What the client asks changes nothing, so it may be asked twice."""

import random

import httpx

_FIRST = 0.1  # seconds
_LONGEST = 5.0

#: What may pass: the connection did not come about, or ended before the answer.
PASSING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
STATUSES = frozenset({429, 503})


def pause(tries: int, retry_after: str | None, left: float) -> float | None:
    """Seconds until the next try after so many; None where it would come after the ``left`` seconds.

    Retry-After is kept to; without it the pauses double, each drawn between half and all of its length, so that many
    callers do not come back at the same moment.
    """
    longest = min(_FIRST * 2 ** (tries - 1), _LONGEST)
    wait = longest * random.uniform(0.5, 1)
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        wait += float(retry_after)
    return wait if wait < left else None
