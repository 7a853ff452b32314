"""Requests in the form that each server reads, and the responses."""

import base64
import io
import json
import socket
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

PATIENCE = 30.0  # seconds without any response, after which open requests count as errors

#: The body as it is; KServe's version 1 with base64, its version 2 for arrays; the Open Inference Protocol's JSON.
Form = Literal["file", "kserve", "inputs"]


@dataclass(frozen=True)
class Target:
    """Port, path and request form of a server."""

    port: int
    path: str
    form: Form = "file"

    def picture(self, picture: bytes, content_type: str = "image/png") -> bytes:
        """Return a request with one picture file."""
        if self.form == "file":
            return self._request(picture, content_type)
        text = base64.b64encode(picture).decode("ascii")
        if self.form == "kserve":
            return self._json({"instances": [{"b64": text}]})
        return self._json({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}]})

    def array(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return a request with an array: npy, KServe's binary tensor, or the Open Inference Protocol's numbers."""
        if self.form == "file":
            file = io.BytesIO()
            np.save(file, pixels)
            return self._request(file.getvalue(), "application/x-npy")
        tensor: dict[str, Any] = {"name": "image", "shape": pixels.shape, "datatype": "UINT8"}
        if self.form == "inputs":
            return self._json({"inputs": [tensor | {"data": pixels.ravel().tolist()}]})
        head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": pixels.nbytes}}]}).encode()
        v2 = Target(self.port, self.path.replace("/v1/", "/v2/").replace(":predict", "/infer"))
        length = f"Inference-Header-Content-Length: {len(head)}\r\n"
        return v2._request(head + pixels.tobytes(), "application/octet-stream", length)

    def _json(self, document: dict[str, Any]) -> bytes:
        return self._request(json.dumps(document).encode(), "application/json")

    def _request(self, body: bytes, content_type: str, more: str = "") -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {content_type}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Question(Protocol):
    """A request to repeat, and its correct response."""

    def request(self, target: Target) -> bytes: ...

    def check(self, body: bytes) -> str:
        """Say what is wrong with a response body. Empty if it is correct."""
        ...


def parse_response(received: bytes) -> tuple[int, bytes | None]:
    """Parse the status and the body. The body is None while it is incomplete.

    Raises:
        ValueError: The bytes are not HTTP, or Content-Length is missing.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0, None
    head = received[:end].lower()
    position = head.find(b"content-length:")
    if position < 0:
        raise ValueError(f"the response has no Content-Length: {head[:200]!r}")
    length = int(head[position + 15 :].split(b"\r\n", 1)[0])
    complete = len(received) >= end + 4 + length
    return int(head[9:12]), received[end + 4 : end + 4 + length] if complete else None


def post_once(target: Target, question: Question) -> str:
    """Send one request and say what is wrong with the response. Empty if it is correct."""
    received = b""
    with socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE) as connection:
        connection.sendall(question.request(target))
        while data := connection.recv(262_144):
            received += data
            status, body = parse_response(received)
            if body is not None:
                return question.check(body) if status == 200 else f"status {status}: {body[:200]!r}"
    return "the connection was closed"
