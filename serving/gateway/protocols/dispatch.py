"""Inference requests: read the body and dispatch to the protocol by path and body."""

import asyncio
from dataclasses import dataclass, replace

from serving.gateway.codecs import body as body_codec
from serving.gateway.codecs import tf_serving_json
from serving.gateway.codecs.offload import offload
from serving.gateway.codecs.open_inference import grpc_messages
from serving.gateway.errors import BadDocument, MethodNotAllowed
from serving.gateway.http.admission import Admission
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.http.paths import Form, Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.hosting import HostingProtocol
from serving.gateway.protocols.kserve_timeseries import KServeTimeSeriesProtocol
from serving.gateway.protocols.native import NativeProtocol
from serving.gateway.protocols.open_inference.infer import OpenInferenceProtocol
from serving.gateway.protocols.openai import OpenAIProtocol
from serving.gateway.protocols.tensorflow_serving import TensorFlowServingProtocol
from serving.tfs_api.rest_json.errors import json_type


@dataclass(frozen=True, slots=True)
class Protocols:
    """The protocols whose requests the dispatcher passes on as they are."""

    native: NativeProtocol
    tensorflow_serving: TensorFlowServingProtocol
    open_inference: OpenInferenceProtocol
    hosting: HostingProtocol


class InferenceDispatcher:
    """Answers inference requests within the limits of admission."""

    def __init__(
        self,
        predictor: Predictor,
        admission: Admission,
        memory: MemoryBudget,
        protocols: Protocols,
        *,
        max_body_bytes: int,
        max_rows: int,
    ) -> None:
        self._predictor = predictor
        self._admission = admission
        self._memory = memory
        self._native = protocols.native
        self._tensorflow_serving = protocols.tensorflow_serving
        self._open_inference = protocols.open_inference
        self._hosting = protocols.hosting
        self._openai = OpenAIProtocol(protocols.native)
        self._kserve_timeseries = KServeTimeSeriesProtocol(protocols.native)
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows

    async def __call__(self, target: Target, request: Request) -> Response:
        """Answer a request.

        Raises:
            GatewayError: the request is refused, or the model server failed. Disconnected: the client has gone.
        """
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.path} takes POST, not {request.method}", allowed="POST")
        caller = request.caller
        memory = request.memory = self._memory.reservation(caller)
        try:
            keys = None
            if target.verb == "invoke":
                target = self._hosting.target(request, target)
                request.model = target.model
            elif not target.model:
                self._admission.check_load()
                body = await request.body(self._max_body_bytes)
                by_grpc = target.verb == "infer"
                decode = grpc_messages.decode if by_grpc else body_codec.document
                keys = await offload(memory, len(body), decode, body, memory)
                target = replace(target, model=_model(keys, "model_name" if by_grpc else "model"))
                request.model = target.model
            version = self._predictor.route(request, target.model, target.choice, target.scope)
            if keys is None:
                self._admission.check(target.model, caller)
                body = await request.body(self._max_body_bytes)
            self._admission.enter(target.model, caller)
            try:
                return await self._answer(target, request, version, body, keys)
            finally:
                self._admission.leave(target.model, caller)
        except asyncio.CancelledError:
            memory.stop()
            raise
        finally:
            memory.leave()

    async def _answer(
        self, target: Target, request: Request, version: ModelVersion, body: bytes, keys: dict[str, object] | None
    ) -> Response:
        """Dispatch; ``keys`` is the object of a body that was read to find the model."""
        if target.verb == "infer":
            return await self._open_inference.infer(request, target, version, body, keys)
        if keys is not None:
            if target.verb == "embeddings":
                return await self._openai.embeddings(request, target, version, keys)
            return await self._kserve_timeseries.forecast(request, target, version, keys)
        memory = request.memory
        if target.verb == "invoke":
            return await self._hosting.invoke(request, target, version, body, self._max_rows)
        if target.verb in ("classify", "regress"):
            examples = await offload(memory, len(body), body_codec.examples, body, memory)
            return await self._tensorflow_serving.examples(request, target, version, examples)
        no_card = version.card is None and version.card_problem is None
        plain = target.verb == "predict" and no_card  # a model without a card takes tensors only
        if plain:
            request.form = Form.PLAIN
        media = request.header(b"content-type")
        content = await offload(memory, len(body), body_codec.read, body, media, self._max_rows, memory, plain)
        if isinstance(content, body_codec.JsonDocument) and (
            plain or (target.verb == "predict" and tf_serving_json.is_request(content.keys))
        ):
            request.form = Form.PLAIN
            return await self._tensorflow_serving.predict(request, target, version, content.keys)
        return await self._native.answer(request, target, version, content)


def _model(keys: dict[str, object], name: str) -> str:
    model = keys.get(name)
    if not isinstance(model, str):
        given = "it is missing" if name not in keys else f"not {json_type(model)}"
        raise BadDocument(f"{name} must be the name of a model, a string; {given}")
    return model
