"""A gRPC client of the model server."""

import contextlib
import http.client
import json
from types import TracebackType
from typing import Any

import grpc

from serving.tfs_api import messages, methods, tensors
from serving.tfs_api.tensors import Array
from tests.serving.model_server import versions

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Rest:
    """A client of the REST interface."""

    def __init__(self, port: int) -> None:
        self._port = port

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers by lower-case name, and body. A body other than bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("localhost", self._port, timeout=240)
        with contextlib.closing(connection):
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Check the status of a JSON response and return its value."""
        found, headers, text = self.call(method, path, body)
        assert (found, headers["content-type"]) == (status, "application/json"), text
        return json.loads(text)

    def error(self, method: str, path: str, body: Any = None, status: int = 400) -> str:
        answer = self.ask(method, path, body, status)
        assert answer.keys() == {"error"}
        return str(answer["error"])


class Client:
    def __init__(
        self, address: str, timeout: float = 240, *, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        if credentials is None:
            self.channel = grpc.insecure_channel(address, UNLIMITED)
        else:
            self.channel = grpc.secure_channel(address, credentials, UNLIMITED)
        self.timeout = timeout

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()

    def call(self, path: str, request: Any, response: Any) -> Any:
        method = self.channel.unary_unary(path, type(request).SerializeToString, response.FromString)
        return method(request, timeout=self.timeout)

    def send(self, request: messages.PredictRequest) -> messages.PredictResponse:
        return self.call(methods.PREDICT, request, messages.PredictResponse)

    def predict(
        self,
        model: str,
        signature: str = "",
        *,
        version: int | None = None,
        label: str | None = None,
        outputs: tuple[str, ...] = (),
        **inputs: Array,
    ) -> dict[str, Array]:
        """Outputs by alias."""
        request = versions.predict_request(model, signature, **inputs)
        request.output_filter.extend(outputs)
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        return {alias: tensors.to_array(proto) for alias, proto in self.send(request).outputs.items()}

    def status(self, model: str, version: int | None = None) -> list[Any]:
        request = messages.GetModelStatusRequest()
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        answer = self.call(methods.GET_MODEL_STATUS, request, messages.GetModelStatusResponse)
        return list(answer.model_version_status)

    def states(self, model: str) -> dict[int, str]:
        """State names by version."""
        names = messages.ModelVersionStatus.State
        return {status.version: names.Name(status.state) for status in self.status(model)}

    def metadata(self, model: str, *fields: str) -> messages.GetModelMetadataResponse:
        request = messages.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = model
        return self.call(methods.GET_MODEL_METADATA, request, messages.GetModelMetadataResponse)

    def reload(self, config: messages.ModelServerConfig) -> messages.ReloadConfigResponse:
        request = messages.ReloadConfigRequest(config=config)
        return self.call(methods.RELOAD_CONFIG, request, messages.ReloadConfigResponse)
