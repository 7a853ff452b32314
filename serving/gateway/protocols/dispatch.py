"""The hot paths: reads the body, and finds the façade by path and body."""

import asyncio
from dataclasses import replace

from serving.gateway.codecs import body as payload
from serving.gateway.codecs import large_json as large
from serving.gateway.codecs import tensor_json as tensors
from serving.gateway.codecs.base64 import kind
from serving.gateway.errors import BadDocument, MethodNotAllowed
from serving.gateway.http.admission import Admission
from serving.gateway.http.memory_budget import MemoryBudget
from serving.gateway.http.paths import Form, Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.kserve_timeseries import TimeSeries
from serving.gateway.protocols.native import Native
from serving.gateway.protocols.open_inference import InferenceProtocol
from serving.gateway.protocols.openai import OpenAI
from serving.gateway.protocols.tensorflow_serving import TensorFlow


class HotPaths:
    """Answers hot requests, within the bounds of admission."""

    def __init__(
        self,
        predictor: Predictor,
        admission: Admission,
        memory: MemoryBudget,
        native: Native,
        tensorflow: TensorFlow,
        inference_protocol: InferenceProtocol,
        *,
        max_body_bytes: int,
        max_rows: int,
    ) -> None:
        self._predictor = predictor
        self._admission = admission
        self._memory = memory
        self._native = native
        self._tensorflow = tensorflow
        self._inference_protocol = inference_protocol
        self._openai = OpenAI(native)
        self._timeseries = TimeSeries(native)
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows

    async def __call__(self, target: Target, request: Request) -> Response:
        """The answer.

        Raises:
            GatewayError: the request cannot be answered. Disconnected: there is nobody to answer.
        """
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.path} is asked by POST, not {request.method}", allowed="POST")
        caller = request.caller
        memory = request.memory = self._memory.reservation(caller)
        try:
            keys = None
            if not target.model:
                body = await request.body(self._max_body_bytes)
                keys = await large.aside(memory, len(body), payload.document, body, memory)
                target = replace(target, model=_model(keys))
                request.model = target.model
            servable = self._predictor.route(request, target.model, target.wanted, target.scope)
            if keys is None:
                self._admission.check(target.model, caller)
                body = await request.body(self._max_body_bytes)
            self._admission.enter(target.model, caller)
            try:
                return await self._answer(target, request, servable, body, keys)
            finally:
                self._admission.leave(target.model, caller)
        except asyncio.CancelledError:
            memory.stop()
            raise
        finally:
            memory.leave()

    async def _answer(
        self, target: Target, request: Request, servable: ModelVersion, body: bytes, keys: dict[str, object] | None
    ) -> Response:
        """``keys`` are those of a body that was read to find the model."""
        if keys is not None:
            if target.verb == "embeddings":
                return await self._openai.embeddings(request, target, servable, keys)
            return await self._timeseries.forecast(request, target, servable, keys)
        memory = request.memory
        if target.verb == "infer":
            return await self._inference_protocol.infer(request, target, servable, body)
        if target.verb in ("classify", "regress"):
            examples = await large.aside(memory, len(body), payload.examples, body, memory)
            return await self._tensorflow.examples(request, target, servable, examples)
        no_card = servable.card is None and servable.card_problem is None
        plain = target.verb == "predict" and no_card  # such a model takes tensors alone
        if plain:
            request.form = Form.PLAIN
        media = request.header(b"content-type")
        content = await large.aside(memory, len(body), payload.read, body, media, self._max_rows, memory, plain)
        if isinstance(content, payload.JsonDocument) and (
            plain or (target.verb == "predict" and tensors.is_request(content.keys))
        ):
            request.form = Form.PLAIN
            return await self._tensorflow.predict(request, target, servable, content.keys)
        return await self._native.answer(request, target, servable, content)


def _model(keys: dict[str, object]) -> str:
    model = keys.get("model")
    if not isinstance(model, str):
        given = "it is missing" if "model" not in keys else f"not {kind(model)}"
        raise BadDocument(f"model must be the name of a model, a string; {given}")
    return model
