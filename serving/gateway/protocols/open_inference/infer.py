"""Inference by the Open Inference Protocol.

The request parameter ``signature_name`` selects another signature than ``serving_default``.
"""

from collections.abc import Mapping
from typing import Any

from serving.gateway.codecs.offload import offload
from serving.gateway.codecs.open_inference import grpc_messages
from serving.gateway.codecs.open_inference import request as request_codec
from serving.gateway.codecs.open_inference import response as response_codec
from serving.gateway.http.paths import Target
from serving.gateway.http.request import JSON, Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, validated_call
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import VersionChoice
from serving.gateway.protocols.native import respond

#: Media type of a serialized message.
MESSAGE = b"application/x-protobuf"
_HEADER_LENGTH = b"inference-header-content-length"


class OpenInferenceProtocol:
    """``POST /v2/models/M[/versions/N]/infer``."""

    def __init__(self, predictor: Predictor, limits: InputLimits) -> None:
        self._predictor = predictor
        self._limits = limits

    async def infer(
        self,
        request: Request,
        target: Target,
        version: ModelVersion,
        body: bytes,
        message: Mapping[str, Any] | None = None,
    ) -> Response:
        """Answer a request that was routed to the version.

        Args:
            request: the request.
            target: model, and version if the path names one.
            version: the version that it was routed to.
            body: JSON, and binary tensors behind it.
            message: the object of a ModelInferRequest, which is then the body, and gets a ModelInferResponse.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """
        memory = request.memory
        choice = target.choice
        if message is not None:
            parsed = request_codec.request_of(message, target.model, choice.version)
        else:
            header_length = request.header(_HEADER_LENGTH)
            parsed = await offload(
                memory, len(body), request_codec.read, body, header_length, target.model, choice.version, memory
            )
        if parsed.version != choice.version:  # only the body names a version
            choice = VersionChoice(version=parsed.version)
            version = self._predictor.route(request, target.model, choice, target.scope)

        def call(version: ModelVersion) -> ModelCall:
            signature = version.signature(parsed.signature_name or version.default_signature)
            response_codec.selected(parsed.outputs, parsed.binary, signature)  # fail before the model is called
            arrays = request_codec.arrays(parsed, signature)
            return validated_call(version, signature, arrays, self._limits, splits=True)

        async def prepare(version: ModelVersion) -> ModelCall:
            return await offload(memory, len(body) - parsed.uncopied_bytes, call, version)

        result = await self._predictor.run(version, choice, prepare, request)
        outputs = response_codec.selected(parsed.outputs, parsed.binary, result.call.signature)
        if message is not None:
            cost = grpc_messages.cost(result.outputs, outputs)
            memory.hold(cost)
            answer = grpc_messages.answer
            content = await offload(memory, max(result.outputs.size, cost), answer, result, parsed.id, outputs)
            return respond(result.version, content, MESSAGE)
        cost = response_codec.cost(result.outputs, outputs)
        memory.hold(cost)
        content, json_size = await offload(
            memory, max(result.outputs.size, cost), response_codec.answer, result, parsed.id, outputs
        )
        response = respond(result.version, content, JSON if json_size is None else b"application/octet-stream")
        if json_size is not None:
            response.headers = [*response.headers, (_HEADER_LENGTH, b"%d" % json_size)]
        return response
