"""TensorFlow Serving's REST form of ``:predict``, ``:classify`` and ``:regress``: tensors and examples by signature,
for models with and without a card.

A client written for TensorFlow Serving needs no change but the port. Unlike there, the head of the answer says which
version it came from, and wrong ranks, sizes and values are refused before they reach the model;
docs/tensorflow-serving.md lists the differences. Requests of more rows than one call may have are split.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Classifications, Examples, ModelServer
from serving.gateway.codecs import large_json as large
from serving.gateway.codecs import tensor_json as tensors
from serving.gateway.codecs import tensor_json_response as encode_tensors
from serving.gateway.codecs import tf_examples as examples
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, fitting
from serving.gateway.inference.predictor import Predictor
from serving.gateway.inference.row_splitting import in_order
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import respond

_RESULT_BYTES = 400  # of a class or number as Python objects and text


class TensorFlowServingProtocol:
    """``{"instances": …}`` → ``{"predictions": …}``, ``{"inputs": …}`` → ``{"outputs": …}``, ``{"examples": …}`` →
    ``{"results": …}``."""

    def __init__(
        self,
        predictor: Predictor,
        model_server: ModelServer,
        limits: InputLimits,
        *,
        calls_at_once: int,
    ) -> None:
        """``calls_at_once`` is how many calls for one request of examples run at a time."""
        self._predictor = predictor
        self._model_server = model_server
        self._limits = limits
        self._calls_at_once = calls_at_once

    async def predict(self, request: Request, target: Target, servable: ModelVersion, keys: dict[str, Any]) -> Response:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """

        async def prepare(servable: ModelVersion) -> ModelCall:
            return await large.aside(request.memory, request.memory.held, self._call, servable, keys)

        result = await self._predictor.run(servable, target.wanted, prepare, request)
        outputs = result.outputs
        if tensors.has_bare_scalars(keys, result.call.signature):
            outputs = outputs.without_column()
        encode = encode_tensors.columns if "inputs" in keys else encode_tensors.predictions
        cost = encode_tensors.cost(outputs)
        request.memory.hold(cost)
        return respond(result.version, await large.aside(request.memory, max(outputs.size, cost), encode, outputs))

    async def examples(
        self, request: Request, target: Target, servable: ModelVersion, keys: dict[str, Any]
    ) -> Response:
        """The answer to ``:classify`` or ``:regress``. Raises as :meth:`predict`."""
        name = examples.signature_name(keys)
        memory = request.memory
        inputs = await large.aside(memory, memory.held, examples.read, keys, self._limits.rows, memory)
        classify = target.verb == "classify"

        async def attempt(servable: ModelVersion) -> Response:
            servable.for_examples(name, target.verb)
            run = self._model_server.classify if classify else self._model_server.regress

            async def call(part: Examples) -> Classifications | NDArray[np.float32]:
                result = await run(servable.model, servable.version, name, part, request.deadline)
                request.memory.hold(_RESULT_BYTES * _values(result))
                return result

            results = await in_order(inputs, call, self._calls_at_once)
            encode: Any = encode_tensors.classifications if classify else encode_tensors.regressions
            size = _RESULT_BYTES * sum(map(_values, results))
            return respond(servable, await large.aside(request.memory, size, encode, results))

        return await self._predictor.retry_on_version_change(servable, target.wanted, attempt)

    def _call(self, servable: ModelVersion, keys: dict[str, Any]) -> ModelCall:
        signature = servable.signature(tensors.signature_name(keys))
        return fitting(servable, signature, tensors.read(keys, signature), self._limits, splits=True)


def _values(result: Classifications | NDArray[np.float32]) -> int:
    return result.scores.size if isinstance(result, Classifications) else result.size
