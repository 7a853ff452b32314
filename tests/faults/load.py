"""Send requests at a constant rate and print a line of JSON for each outcome.

    python -m tests.faults.load RATE HOST:PORT [HOST:PORT…]

RATE is in requests per second, also while earlier requests wait. The gateways take turns, and each request has its own
connection. If a gateway cannot be reached or drops the connection, the request goes to the next one, as with a Service
or an ingress. Any response is final. VITRINE_API_KEY is the key that requests have, if any. SIGTERM ends the program.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time

from tests.serving.gateway.conftest import picture

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 20.0  # longer than the gateway's own deadline
_VALUES = range(8, 120)  # brightnesses: darker pictures count as blank, brighter borders are inverted
_HEAD = "POST /v1/models/shade:embed HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n"


async def main(rate: float, addresses: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    key = f"X-API-Key: {os.environ['VITRINE_API_KEY']}\r\n" if "VITRINE_API_KEY" in os.environ else ""
    pictures = {value: picture(value) for value in _VALUES}
    requests = {value: _HEAD.format(len(body), key).encode() + body for value, body in pictures.items()}
    async with asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in itertools.count():
            pause = started + number / rate - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            if stop.is_set():
                break
            first = number % len(addresses)
            value = _VALUES[number % len(_VALUES)]
            group.create_task(request(addresses[first:] + addresses[:first], value, requests[value]))


async def request(addresses: list[str], value: int, content: bytes) -> None:
    sent = time.monotonic()
    record: dict[str, object] = {"sent": sent, "outcome": "lost"}
    for tries, address in enumerate(addresses, start=1):
        record["tries"] = tries
        try:
            status, body = await post(address, content)
        except (OSError, TimeoutError) as error:
            record["reason"] = f"{type(error).__name__} at {address}"
        else:
            record |= outcome(status, body, value)
            break
    print(json.dumps(record | {"seconds": time.monotonic() - sent}), flush=True)


async def post(address: str, request: bytes) -> tuple[int, bytes]:
    """Send a request and return status and body.

    Raises:
        OSError: The connection failed or ended before the whole response.
        TimeoutError: No response arrived in time.
    """
    async with asyncio.timeout(_CONNECT_SECONDS):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            writer.write(request)
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1.1 "):
        raise ConnectionError("the connection was closed before the response")
    return int(head[9:12]), body


def outcome(status: int, body: bytes, value: int) -> dict[str, object]:
    """Check a response: the model returns the picture's brightness and its own version."""
    if status != 200:
        return {"outcome": "lost", "reason": f"{status}: {json.loads(body)['error']}"}
    document = json.loads(body)
    if document["embeddings"] != [[value, document["version"]]]:
        return {"outcome": "wrong", "reason": body.decode()}
    return {"outcome": "answered", "reason": "", "version": document["version"]}


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
