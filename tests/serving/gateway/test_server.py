"""The server of a real gateway, as raw bytes."""

import socket

import httpx

from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.test_limits import raw

#: As the JDK's client sends them by default.
H2C = (
    "Connection: Upgrade, HTTP2-Settings\r\nHost: x\r\n"
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/17\r\n"
)


def statuses(connection: socket.socket, count: int) -> list[int]:
    """The statuses of so many answers."""
    stream = connection.makefile("rb")
    found = []
    for _ in range(count):
        found.append(int(stream.readline().split()[1]))
        length = 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)
    return found


def test_an_offer_to_upgrade_is_ignored(served: Gateway) -> None:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    for path, body in {
        "/v1/models/line:predict": {"instances": [[1, 2, 3]]},
        "/v2/models/line/infer": {"inputs": [tensor]},
        "/v1/embeddings": {"model": "shade", "input": []},
        "/livez": {},
    }.items():
        content = httpx.Request("POST", served.url, json=body).content
        head = f"POST {path} HTTP/1.1\r\n{H2C}Content-Length: {len(content)}\r\nContent-Type: application/json\r\n\r\n"
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        chunked = head.replace(f"Content-Length: {len(content)}", "Transfer-Encoding: chunked").encode() + chunks
        get = f"GET /livez HTTP/1.1\r\n{H2C}\r\n".encode()
        plain = served.http.post(path, json=body).status_code
        with raw(served, head.encode() + content + get + chunked) as connection:
            assert statuses(connection, 3) == [plain, 200, plain]
