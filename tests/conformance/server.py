"""A server under test and its clients: gRPC by grpcio, REST by plain HTTP."""

import contextlib
import http.client
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import grpc
from google.protobuf import text_format

from serving.tfs_api import messages
from tests.programs import REPOSITORY, Program, free_port

_TIME_LIMIT = 120  # seconds for a server to reject its flags; most of them for the import of an engine
LARGEST = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
#: Service by method; all other methods are PredictionService's.
_SERVICES = {"GetModelStatus": "ModelService", "HandleReloadConfigRequest": "ModelService"}
#: Request and response class by method.
MESSAGES: Mapping[str, tuple[Any, Any]] = {
    "Predict": (messages.PredictRequest, messages.PredictResponse),
    "Classify": (messages.ClassificationRequest, messages.ClassificationResponse),
    "Regress": (messages.RegressionRequest, messages.RegressionResponse),
    "MultiInference": (messages.MultiInferenceRequest, messages.MultiInferenceResponse),
    "GetModelMetadata": (messages.GetModelMetadataRequest, messages.GetModelMetadataResponse),
    "GetModelStatus": (messages.GetModelStatusRequest, messages.GetModelStatusResponse),
    "HandleReloadConfigRequest": (messages.ReloadConfigRequest, messages.ReloadConfigResponse),
}


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    text: str
    headers: Message  # names are case-insensitive

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Server:
    """Addresses of a server, and its process if the suite started it."""

    grpc: str
    rest: str
    program: Program | None = None
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)

    def call(self, method: str, request: str | Any, timeout: float = 120) -> Any:
        """Call a method; the request is a message, or its protobuf text form."""
        request_class, response_class = MESSAGES[method]
        if isinstance(request, str):
            request = text_format.Parse(request, request_class())
        path = f"/tensorflow.serving.{_SERVICES.get(method, 'PredictionService')}/{method}"
        with self.channel() as channel:
            call = channel.unary_unary(
                path,
                request_serializer=request_class.SerializeToString,
                response_deserializer=response_class.FromString,
            )
            return call(request, timeout=timeout)

    def states(self, model: str) -> list[tuple[int, str]]:
        """Return versions of a model and their states, in the order of the answer."""
        listed = self.call("GetModelStatus", f'model_spec {{ name: "{model}" }}').model_version_status
        return [(entry.version, type(entry).State.Name(entry.state)) for entry in listed]

    def channel(self, options: Any = LARGEST) -> grpc.Channel:
        if self.credentials:
            return grpc.secure_channel(self.grpc, self.credentials, options)
        return grpc.insecure_channel(self.grpc, options)

    def http(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send an HTTP request; a body that is not bytes becomes JSON."""
        connection = http.client.HTTPConnection(self.rest, timeout=120)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.headers)
        finally:
            connection.close()


def command() -> list[str]:
    """Return the command of the server: TF_SERVING_COMMAND, or the embedded model server."""
    given = os.environ.get("TF_SERVING_COMMAND")
    return shlex.split(given) if given else [sys.executable, "-m", "serving.model_server"]


def is_embedded() -> bool:
    return "TF_SERVING_COMMAND" not in os.environ and "TF_SERVING_ADDRESS" not in os.environ


@contextlib.contextmanager
def started(*flags: str, rest: bool = True, credentials: Any = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """Start a server and wait until its ports are open."""
    port, rest_port = free_port(), free_port()
    more = [f"--rest_api_port={rest_port}"] if rest else []
    program = Program([*command(), f"--port={port}", *more, *flags], {"TF_ENABLE_ONEDNN_OPTS": "0"})
    try:
        program.wait_for("Exporting HTTP/REST API" if rest else "Running gRPC ModelServer", 300)
        yield Server(f"{host}:{port}", f"{host}:{rest_port}", program, credentials)
    finally:
        program.stop()


def refused(*flags: str) -> str:
    """Return the output of a server that must not start with these flags.

    It tries each load once unless the flags say otherwise; by default the real server tries for five minutes.
    """
    arguments = [*command(), "--max_num_load_retries=0", *flags]  # the last one of two equal flags counts
    try:
        ended = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=_TIME_LIMIT)
    except subprocess.TimeoutExpired as late:
        printed = b"".join(filter(None, (late.stdout, late.stderr))).decode(errors="replace")
        raise AssertionError(f"the server did not exit within {_TIME_LIMIT} s; it printed:\n{printed}") from None
    assert ended.returncode != 0, ended.stderr
    return ended.stdout + ended.stderr


def wait_until(condition: Callable[[], bool], timeout: float = 120) -> None:
    """Poll a server until the condition holds."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, f"the condition did not hold within {timeout} s"
        time.sleep(0.05)


def error(server: Server, method: str, request: Any, timeout: float = 120) -> tuple[str, str]:
    """Return code and message of an RPC that must fail."""
    try:
        answer = server.call(method, request, timeout)
    except grpc.RpcError as failed:
        return failed.code().name, failed.details()
    raise AssertionError(f"{method} succeeded: {answer}")


def fits(found: str, expected: str) -> bool:
    """Return whether a message is the expected one, in which … means any text."""
    position = 0
    parts = expected.split("…")
    for number, part in enumerate(parts):
        at = found.find(part, position)
        if at < 0 or (number == 0 and at > 0):
            return False
        position = at + len(part)
    return not parts[-1] or found.endswith(parts[-1])
