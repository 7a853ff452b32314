"""Answers to HTTP requests, without sockets.

Source: tensorflow_serving/model_servers/{http_server,http_rest_api_handler}.cc.
"""

import asyncio
import json
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format

from serving.model_server.batching.scheduler import STILL_WAITING
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE
from serving.model_server.errors import ServingError, deadline_exceeded, internal, invalid_argument, resource_exhausted
from serving.model_server.grpc_api import responses
from serving.model_server.inference import predict
from serving.model_server.inference.inference import Inference
from serving.model_server.rest import documents, examples, paths, tensors
from serving.model_server.rest.documents import DocumentMemory, DocumentTooLarge
from serving.tfs_api import messages
from serving.tfs_api.rest_json.documents import memory
from serving.tfs_api.status_codes import Code

logger = logging.getLogger(__name__)

_LARGE = 2**18  # bytes of JSON that are processed in a thread, because they take milliseconds
_MEMORY_PER_BODY_BYTE = 8
_STATUS: Final = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain"}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True)
class RestResponse:
    """An HTTP status, a body and headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> RestResponse:
    """Return an error in TensorFlow Serving's form."""
    text = json.dumps({"error": message}, indent=4, ensure_ascii=False)
    return RestResponse(status, text.encode("utf-8", "replace"), {**_JSON, **(headers or {})})


class RestApi:
    """The REST interface of the loaded models."""

    def __init__(
        self,
        inference: Inference,
        *,
        threads: int,
        max_body_bytes: int,
        timeout_ms: int = 30_000,
        cors: bool = False,
        metrics_path: str | None = None,
    ) -> None:
        """Create the interface.

        Args:
            inference: Runs the requests.
            threads: Number of requests that are processed at the same time.
            max_body_bytes: Limit of a decompressed body. All JSON objects together may take 8 times as much memory.
            timeout_ms: Time limit of a request; 0 means none.
            cors: Answer requests of web pages from other origins.
            metrics_path: Path of the Prometheus metrics; None means none.
        """
        self._inference = inference
        self._metrics_path = metrics_path
        self._slots = asyncio.Semaphore(threads)
        self._timeout = timeout_ms / 1000 if timeout_ms > 0 else None
        self._cors = cors
        self._max_body_bytes = max_body_bytes
        self._memory = DocumentMemory(_MEMORY_PER_BODY_BYTE * max_body_bytes)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RestResponse:
        """Return the answer to a request, also if it fails. Names in ``headers`` are in lower case."""
        if path == self._metrics_path and method == "GET":
            return RestResponse(200, self._inference.metrics.text().encode(), _TEXT)
        if not paths.is_served(path):
            return RestResponse(404, b"Not Found\n", _TEXT)
        more = _CORS if self._cors else {}
        if method == "OPTIONS" and not self._cors:
            return RestResponse(400, b"", _TEXT)
        if method == "OPTIONS" and _is_web(headers.get("origin", "")):
            return RestResponse(200, b"", {**_JSON, **more})
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                if "gzip" in headers.get("content-encoding", "").lower():
                    body = await self._inference.offload(lambda: _decompress(body, self._max_body_bytes))
                text = await self._respond(paths.read(method, path), body)
            return RestResponse(200, text, {**_JSON, **more})
        except DocumentTooLarge as error:
            return error_response(413, str(error), more)
        except paths.BadPart:
            return RestResponse(400, b"", {**_JSON, **more})
        except Exception as error:  # a variable would keep the body until garbage collection, by the frames
            code, message = _code_and_message(error, f"{method} {path}")
        return error_response(_STATUS.get(code, 500), message, more)

    async def _respond(self, target: paths.RestTarget, body: bytes) -> bytes:
        api = "" if target.action in ("status", "metadata") else target.action
        with self._inference.metrics.request(target.model, api, "REST"):
            if target.action == "status":
                versions = self._inference.status(target.model, target.version)
                return (_message_json(responses.status_response(versions)) + "\n").encode()
            if target.action == "metadata":
                return self._metadata(target)
            with self._memory.held(await self._offload_large(len(body), lambda: memory(body))):
                return await self._infer(target, body)

    async def _infer(self, target: paths.RestTarget, body: bytes) -> bytes:
        document = await self._offload_large(len(body), lambda: documents.read(body))
        signature = document.get("signature_name", "")
        if not isinstance(signature, str):
            raise tensors.format_error(
                document, "not formatted correctly. 'signature_name' key must be a string value."
            )
        if target.action == "predict":
            return await self._predict(target, signature, document, len(body))
        rows = await self._offload_large(len(body), lambda: examples.read(document))
        model, version, label = target.model, target.version, target.label
        if target.action == "classify":
            classes = await self._inference.classify(model, rows, signature=signature, version=version, label=label)
            return examples.classifications(classes.results)
        values = await self._inference.regress(model, rows, signature=signature, version=version, label=label)
        return examples.regressions(values.results)

    async def _predict(self, target: paths.RestTarget, signature: str, document: dict[str, Any], size: int) -> bytes:
        with self._inference.core.handle(target.model, target.version, target.label) as handle:
            call = await self._offload_large(size, lambda: _call(handle.servable, signature, document))
            write = tensors.to_rows if "instances" in document else tensors.to_columns
            arrays = await self._inference.run(handle, "Predict", [call], lambda outputs: outputs[0])
            outputs = dict(zip(call.outputs, arrays, strict=True))
            text: bytes = await self._offload_large(8 * sum(array.size for array in arrays), lambda: write(outputs))
            return text

    def _metadata(self, target: paths.RestTarget) -> bytes:
        found = self._inference.signatures(target.model, version=target.version, label=target.label)
        spec = messages.ModelSpec(name=found.model)
        spec.version.value = found.version
        signatures = messages.SignatureDefMap.FromString(found.signature_def_map)
        return (
            f'{{\n"model_spec":{_message_json(spec)}\n,\n'
            f'"metadata": {{"signature_def": {_message_json(signatures)}\n}}\n}}\n'
        ).encode()

    async def _offload_large(self, size: int, work: Callable[[], Any]) -> Any:
        """Return the result of work on ``size`` bytes of JSON; a thread does it if they are many."""
        return work() if size < _LARGE else await self._inference.offload(work)


def _code_and_message(error: Exception, request: str) -> tuple[Code, str]:
    match error:
        case ServingError():
            known: ServingError = error
        case TimeoutError() if error.__cause__ and STILL_WAITING in error.__cause__.args:
            known = resource_exhausted(STILL_WAITING)
        case TimeoutError():
            known = deadline_exceeded("Timed out waiting for notification")
        case RecursionError():
            known = invalid_argument("JSON Value: nested too deeply")
        case _:
            logger.error("%s failed", request, exc_info=error)
            known = internal("the model server failed; see its log")
    return known.code, known.message


def _call(servable: Servable, signature_name: str, document: dict[str, Any]) -> SignatureCall:
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
    if not signature.inputs:
        raise invalid_argument(f"Failed to get input map for signature: {signature_name or 'DEFAULT'}")
    if tensors.is_by_row(document):
        arrays = tensors.from_rows(document["instances"], signature)
    else:
        arrays = tensors.from_columns(document["inputs"], signature)
    if servable.strict:
        for alias, array in arrays.items():
            predict.check_shape(alias, signature.inputs[alias], array.shape)
    inputs = {alias: arrays[alias] if alias in arrays else signature.defaults[alias] for alias in signature.inputs}
    return SignatureCall(signature, inputs, tuple(signature.outputs))


def _decompress(body: bytes, max_bytes: int) -> bytes:
    """Return a gzip body decompressed, or nothing if it is damaged, as TensorFlow Serving does.

    Raises:
        DocumentTooLarge: the result has more than ``max_bytes``.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        decompressed = reader.decompress(body, max_bytes + 1)
    except zlib.error:
        return b""
    if len(decompressed) > max_bytes:
        raise DocumentTooLarge(f"the decompressed body has more than {max_bytes} bytes")
    return decompressed if reader.eof else b""


def _is_web(origin: str) -> bool:
    return origin.lower().startswith(("http://", "https://"))


def _message_json(message: Any) -> str:
    try:
        return json_format.MessageToJson(
            message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True, indent=1
        )
    except json_format.SerializeToJsonError as error:
        raise internal(f"Failed to convert proto to json. Error: {error}") from None
