"""A steady stream of requests from a process of its own, one line for what came of each.

    python -m tests.faults.load RATE ADDRESS [ADDRESS…]

So many requests a second, whether or not the ones before were answered, to the gateways in turn, each by a connection
of its own. Where a gateway cannot be reached or drops the connection, the next one is asked, as a Service or an ingress
does; what a gateway answered counts, whatever it is. Until SIGTERM.
"""

import asyncio
import itertools
import json
import signal
import sys
import time

from tests.serving.gateway.conftest import picture

PORT = 8000
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 20.0  # longer than the gateway's own deadline
_VALUES = range(8, 120)  # brightnesses: darker pictures count as blank, brighter borders are inverted
_HEAD = "POST /v1/models/shade:embed HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


async def main(rate: float, addresses: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pictures = {value: picture(value) for value in _VALUES}
    requests = {value: _HEAD.format(len(body)).encode() + body for value, body in pictures.items()}
    async with asyncio.TaskGroup() as group:
        begun = time.monotonic()
        for number in itertools.count():
            pause = begun + number / rate - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            if stop.is_set():
                break
            first = number % len(addresses)
            value = _VALUES[number % len(_VALUES)]
            group.create_task(ask(addresses[first:] + addresses[:first], value, requests[value]))


async def ask(addresses: list[str], value: int, request: bytes) -> None:
    sent = time.monotonic()
    record: dict[str, object] = {"sent": sent, "outcome": "lost"}
    for tries, address in enumerate(addresses, start=1):
        record["tries"] = tries
        try:
            status, body = await post(address, request)
        except (OSError, TimeoutError) as error:
            record["why"] = f"{type(error).__name__} at {address}"
        else:
            record |= judged(status, body, value)
            break
    print(json.dumps(record | {"seconds": time.monotonic() - sent}), flush=True)


async def post(address: str, request: bytes) -> tuple[int, bytes]:
    """Status and body.

    Raises:
        OSError: no connection, or not until the answer was whole. TimeoutError: no answer.
    """
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(address, PORT)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            writer.write(request)
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1.1 "):
        raise ConnectionError("the connection was closed before there was an answer")
    return int(head[9:12]), body


def judged(status: int, body: bytes, value: int) -> dict[str, object]:
    """The model answers the brightness and its own version, so that a wrong answer is seen."""
    if status != 200:
        return {"outcome": "lost", "why": f"{status}: {json.loads(body)['error']}"}
    document = json.loads(body)
    if document["embeddings"] != [[value, document["version"]]]:
        return {"outcome": "wrong", "why": body.decode()}
    return {"outcome": "answered", "why": "", "version": document["version"]}


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
