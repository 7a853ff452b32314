"""The native API: ``:predict``, ``:embed``, ``:neighbours``, ``:explain`` and ``:forecast``, with a model card.

The model's kind (``serving/gateway/kinds/``) reads the request and writes the answer.
"""

from typing import Any

import orjson

from serving.gateway.backends.base import Outputs
from serving.gateway.codecs.body import NPY, Payload
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadUpstream
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, validated_call
from serving.gateway.inference.predictor import Predictor
from serving.gateway.kinds.base import ModelOutput, Operation, Options, ReadContext
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import VersionChoice
from serving.inputs import npy

_NPY_TYPE = NPY.encode("ascii")


class NativeProtocol:
    """Answers native requests with the operations of the model's kind."""

    def __init__(self, predictor: Predictor, limits: InputLimits) -> None:
        self._predictor = predictor
        self._limits = limits

    async def answer(self, request: Request, target: Target, version: ModelVersion, payload: Payload) -> Response:
        """Answer a request that was routed to the version.

        Raises:
            GatewayError: the model does not offer the verb, the input does not fit, or the model server failed.
        """
        operation = _operation(version, target.verb)
        given = request.options(operation.option_names)
        options = {name: operation.options[name](text) for name, text in given.items()} if given else given
        version, output = await self.run(request, target, version, target.verb, payload, options)
        if operation.npy_output is not None and NPY in request.header(b"accept"):
            return respond(version, npy.write(finite(output.outputs, operation.npy_output)), _NPY_TYPE)
        if target.verb != "predict":
            output.outputs = await self.with_prediction(request, version, operation, output)
        head = {"model": version.model, "version": version.version, "request_id": request.id}
        return respond(version, dump(head | operation.write(output, options)))

    async def with_prediction(
        self, request: Request, version: ModelVersion, operation: Operation, output: ModelOutput
    ) -> Outputs:
        """Add the outputs of ``:predict`` for the same input: they have the class and, if assessed, the typicality."""
        signature = version.offer("predict") if operation.needs_prediction else version.assessment
        if signature is None:
            return output.outputs
        call = validated_call(
            version, signature, {name: output.arrays[name] for name in signature.inputs}, self._limits
        )

        async def prepare(version: ModelVersion) -> ModelCall:
            return call

        result = await self._predictor.run(version, VersionChoice(version.version), prepare, request)
        return Outputs({**result.outputs, **output.outputs}, result.outputs.clean and output.outputs.clean)

    async def run(
        self, request: Request, target: Target, version: ModelVersion, verb: str, payload: Payload, options: Options
    ) -> tuple[ModelVersion, ModelOutput]:
        """Return the version that answered, and its outputs for a payload. Raises as :meth:`answer`."""
        kind, operation, limits = version.kind, _operation(version, verb), self._limits

        async def prepare(version: ModelVersion) -> ModelCall:
            signature, card = version.offer(verb), version.card
            if card is None or version.kind is not kind:
                raise BadUpstream(
                    f"model {version.model} version {version.version} is of another kind than the version before it; "
                    "send the request again"
                )
            context = ReadContext(card, signature, limits.rows, limits.pixels, request.size, request.memory)
            read = await operation.read(payload, options, context)
            call = validated_call(version, signature, read.arrays, limits)
            call.notes, call.request = read.notes, read.request
            return call

        result = await self._predictor.run(version, target.choice, prepare, request)
        card, call = result.version.card, result.call
        assert card is not None  # prepare checks it
        return result.version, ModelOutput(card, call.arrays, result.outputs, call.notes, call.request)


def respond(version: ModelVersion, body: bytes, content_type: bytes = b"application/json") -> Response:
    """Return a response that names the version that answered."""
    number = str(version.version)
    return Response(200, body, content_type, [(b"x-model-version", number.encode("ascii"))], number)


def dump(content: dict[str, Any]) -> bytes:
    """Return JSON; floats are the shortest text that reads back as the same float32."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _operation(version: ModelVersion, verb: str) -> Operation:
    version.offer(verb)
    assert version.kind is not None  # only a kind offers verbs
    return version.kind.operations[verb]
