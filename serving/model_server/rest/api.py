"""From an HTTP request to its answer; knows nothing of sockets.

Source: tensorflow_serving/model_servers/{http_server,http_rest_api_handler}.cc.
"""

import asyncio
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
from serving.model_server.inference import predict, requests
from serving.model_server.inference.inference import Inference
from serving.model_server.rest import answers, documents, examples, paths, rapidjson, tensors
from serving.tfs_api import messages

logger = logging.getLogger(__name__)

_LARGE = 2**18  # bytes of JSON that take long enough for others not to wait for
_TIMES_BODY = 8

#: HTTP status by gRPC code; what is not here is 500.
_STATUS: Final = {
    1: 499,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    14: 503,
    16: 401,
}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_NOT_FOUND = (
    b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"  # libevent's
)


@dataclass(frozen=True)
class RestResponse:
    """An HTTP status, headers and a body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> RestResponse:
    """An answer in TensorFlow Serving's form of an error."""
    text = rapidjson.lines("{}", [f'"error": {rapidjson.string(message)}'], 0).encode("utf-8", "replace")
    return RestResponse(status, text, {"Content-Type": "application/json", **(headers or {})})


class RestApi:
    """All of the REST interface."""

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
        """Make the interface.

        Args:
            threads: how many requests are worked on at once.
            max_body_bytes: of a decompressed body; all bodies together take 8 times as much when they are read.
            timeout_ms: longest time for a request; 0 is none.
            metrics_path: where Prometheus may read; None: nowhere.
        """
        self._inference = inference
        self._metrics_path = metrics_path
        self._slots = asyncio.Semaphore(threads)
        self._timeout = timeout_ms / 1000 if timeout_ms > 0 else None
        self._cors = cors
        self._max_body_bytes = max_body_bytes
        self._documents = documents.Documents(_TIMES_BODY * max_body_bytes)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RestResponse:
        """The answer to a request; ``headers`` by their names in small letters. Never raises."""
        if path == self._metrics_path and method == "GET":
            return RestResponse(200, self._inference.metrics.text().encode(), {"Content-Type": "text/plain"})
        if not paths.is_served(path):
            return RestResponse(404, _NOT_FOUND, {"Content-Type": "text/html"})
        more = _CORS if self._cors else {}
        if method == "OPTIONS" and not self._cors:
            return RestResponse(400, b"", {"Content-Type": "text/html; charset=ISO-8859-1"})  # libevent's
        if method == "OPTIONS" and self._cors and _is_web(headers.get("origin", "")):
            return RestResponse(200, b"", {"Content-Type": "application/json", **more})
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                if "gzip" in headers.get("content-encoding", "").lower():
                    body = await self._inference.offload(lambda: _inflated(body, self._max_body_bytes))
                text = await self._counted(method, path, body)
            return RestResponse(200, text, {"Content-Type": "application/json", **more})
        except documents.DocumentTooLarge as error:
            return refusal(413, str(error), more)
        except paths.BadPart:
            return RestResponse(400, b"", {"Content-Type": "application/json", **more})
        except Exception as error:  # not kept in a variable: with its frames, the body would wait for the collector
            number, message = _code_and_message(error, f"{method} {path}")
        return refusal(_STATUS.get(number, 500), message, more)

    async def _counted(self, method: str, path: str, body: bytes) -> bytes:
        wanted = paths.read(method, path)
        api = "" if wanted.action in ("status", "metadata") else wanted.action
        with self._inference.metrics.request(wanted.model, api, "REST"):
            return await self._respond(wanted, body)

    async def _respond(self, wanted: paths.RestTarget, body: bytes) -> bytes:
        if wanted.action == "status":
            versions = self._inference.status(wanted.model, wanted.version)
            return (_json(responses.status_response(versions)) + "\n").encode()
        if wanted.action == "metadata":
            return self._metadata(wanted)
        with self._documents.held(await self._soon(len(body), lambda: documents.cost(body))):
            return await self._infer(wanted, body)

    async def _infer(self, wanted: paths.RestTarget, body: bytes) -> bytes:
        document = await self._soon(len(body), lambda: _document(body))
        if not isinstance(document.get("signature_name", ""), str):
            raise tensors.format_error(
                document, "not formatted correctly. 'signature_name' key must be a string value."
            )
        name = document.get("signature_name", "")
        if not tensors.is_text(name):
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        if wanted.action == "predict":
            return await self._predict(wanted, name, document, len(body))
        rows = await self._soon(len(body), lambda: _examples(document))
        if wanted.action == "classify":
            classes = await self._inference.classify(
                wanted.model, rows, signature=name, version=wanted.version, label=wanted.label
            )
            return examples.classifications(classes.results)
        numbers = await self._inference.regress(
            wanted.model, rows, signature=name, version=wanted.version, label=wanted.label
        )
        return examples.regressions(numbers.results)

    async def _predict(self, wanted: paths.RestTarget, signature: str, document: dict[str, Any], size: int) -> bytes:
        with self._inference.core.handle(wanted.model, wanted.version, wanted.label) as handle:
            call = await self._soon(size, lambda: _call(handle.servable, signature, document))
            write = answers.to_rows if "instances" in document else answers.to_columns
            arrays = await self._inference.run(handle, "Predict", [call], lambda outputs: outputs[0])
            outputs = dict(zip(call.outputs, arrays, strict=True))
            text: bytes = await self._soon(8 * sum(array.size for array in arrays), lambda: write(outputs))
            return text

    def _metadata(self, wanted: paths.RestTarget) -> bytes:
        found = self._inference.signatures(wanted.model, version=wanted.version, label=wanted.label)
        spec = messages.ModelSpec(name=found.model)
        spec.version.value = found.version
        signatures = messages.SignatureDefMap.FromString(found.signature_def_map)
        return (
            f'{{\n"model_spec":{_json(spec)}\n,\n"metadata": {{"signature_def": {_json(signatures)}\n}}\n}}\n'
        ).encode()

    async def _soon(self, size: int, work: Callable[[], Any]) -> Any:
        """Do the work on so many bytes of JSON here, or in a thread where they are many."""
        return work() if size < _LARGE else await self._inference.offload(work)


def _code_and_message(error: Exception, what: str) -> tuple[int, str]:
    """The code and the text of an error."""
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
            logger.error("%s failed", what, exc_info=error)
            known = internal("the model server failed; its log says how")
    return int(known.code), known.message


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


def _examples(document: dict[str, Any]) -> list[bytes]:
    message = messages.Input()
    examples.fill(document, message)
    return requests.serialized_examples(message)


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = rapidjson.parse(body)
    except rapidjson.ParseError as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise tensors.format_error(document, "Is not object")
    return document


def _inflated(body: bytes, most: int) -> bytes:
    """The decompressed body.

    Empty, as in TensorFlow Serving, where it is damaged. Raises TooLarge.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        inflated = reader.decompress(body, most + 1)
    except zlib.error:
        return b""
    if len(inflated) > most:
        raise documents.DocumentTooLarge(f"the decompressed body has more than {most} bytes")
    return inflated if reader.eof else b""


def _is_web(origin: str) -> bool:
    return origin.lower().startswith(("http://", "https://"))


def _json(message: Any) -> str:
    try:
        return json_format.MessageToJson(
            message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True, indent=1
        )
    except json_format.SerializeToJsonError as error:
        raise internal(f"Failed to convert proto to json. Error: {error}") from None
