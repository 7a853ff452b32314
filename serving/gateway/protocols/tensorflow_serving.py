"""TensorFlow Serving's REST API: ``:predict`` with tensors, ``:classify`` and ``:regress`` with examples.

A client of TensorFlow Serving only changes the port. The differences are in
``docs/reference/tensorflow-serving.md``: a header names the version, inputs are validated before they reach the model,
and large requests are split into several calls.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Classifications, ExampleBatch, ModelServer, Outputs
from serving.gateway.codecs import dataframes, tf_examples, tf_serving_json, tf_serving_json_response
from serving.gateway.codecs.dataframes import DataFrame
from serving.gateway.codecs.offload import offload
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, validated_call
from serving.gateway.inference.predictor import Predictor, PredictResult
from serving.gateway.inference.row_splitting import in_order
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import respond

T = TypeVar("T")

_columns, _predictions = tf_serving_json_response.columns, tf_serving_json_response.predictions

_RESULT_BYTES = 400  # memory of one class or number as Python objects and text


class TensorFlowServingProtocol:
    """``instances`` → ``predictions``, ``inputs`` → ``outputs``, ``examples`` → ``results``."""

    def __init__(
        self,
        predictor: Predictor,
        model_server: ModelServer,
        limits: InputLimits,
        *,
        calls_at_once: int,
    ) -> None:
        """``calls_at_once`` limits the concurrent calls of one request with examples."""
        self._predictor = predictor
        self._model_server = model_server
        self._limits = limits
        self._calls_at_once = calls_at_once

    async def predict(
        self,
        request: Request,
        target: Target,
        version: ModelVersion,
        keys: dict[str, Any],
        columns_key: str = "outputs",
    ) -> Response:
        """Answer ``:predict`` for a request that was routed to the version; ``columns_key`` holds those of ``inputs``.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """
        result = await self._run(request, target, version, self._call, keys)
        outputs = result.outputs
        if tf_serving_json.has_bare_scalars(keys, result.call.signature):
            outputs = outputs.without_column()
        if "inputs" in keys:
            return await self._respond(request, result, outputs, partial(_columns, key=columns_key))
        return await self._respond(request, result, outputs, _predictions)

    async def rows(
        self,
        request: Request,
        target: Target,
        version: ModelVersion,
        frame: DataFrame,
        signature: str = "serving_default",
    ) -> Response:
        """Answer a data frame as ``instances``. Raises as :meth:`predict`."""
        result = await self._run(request, target, version, self._call_of_rows, (frame, signature))
        return await self._respond(request, result, result.outputs, _predictions)

    async def _run(
        self,
        request: Request,
        target: Target,
        version: ModelVersion,
        call: Callable[[ModelVersion, T], ModelCall],
        content: T,
    ) -> PredictResult:
        async def prepare(version: ModelVersion) -> ModelCall:
            return await offload(request.memory, request.memory.held, call, version, content)

        return await self._predictor.run(version, target.choice, prepare, request)

    async def _respond(
        self, request: Request, result: PredictResult, outputs: Outputs, encode: Callable[[Outputs], bytes]
    ) -> Response:
        cost = tf_serving_json_response.cost(outputs)
        request.memory.hold(cost)
        return respond(result.version, await offload(request.memory, max(outputs.size, cost), encode, outputs))

    async def examples(self, request: Request, target: Target, version: ModelVersion, keys: dict[str, Any]) -> Response:
        """Answer ``:classify`` or ``:regress``. Raises as :meth:`predict`."""
        name = tf_examples.signature_name(keys)
        memory = request.memory
        inputs = await offload(memory, memory.held, tf_examples.read, keys, self._limits.rows, memory)
        classify = target.verb == "classify"

        async def attempt(version: ModelVersion) -> Response:
            version.for_examples(name, target.verb)
            run = self._model_server.classify if classify else self._model_server.regress

            async def call(part: ExampleBatch) -> Classifications | NDArray[np.float32]:
                result = await run(version.model, version.version, name, part, request.deadline)
                request.memory.hold(_RESULT_BYTES * _values(result))
                return result

            results = await in_order(inputs, call, self._calls_at_once)
            encode: Any = tf_serving_json_response.classifications if classify else tf_serving_json_response.regressions
            size = _RESULT_BYTES * sum(map(_values, results))
            return respond(version, await offload(request.memory, size, encode, results))

        return await self._predictor.retry_on_version_change(version, target.choice, attempt)

    def _call_of_rows(self, version: ModelVersion, content: tuple[DataFrame, str]) -> ModelCall:
        frame, name = content
        signature, card = version.signature(name), version.card
        columns = [column.name for column in card.table.columns] if card is not None and card.table is not None else []
        arrays = dataframes.arrays(frame, signature, columns)
        return validated_call(version, signature, arrays, self._limits, splits=True)

    def _call(self, version: ModelVersion, keys: dict[str, Any]) -> ModelCall:
        signature = version.signature(tf_serving_json.signature_name(keys))
        return validated_call(version, signature, tf_serving_json.read(keys, signature), self._limits, splits=True)


def _values(result: Classifications | NDArray[np.float32]) -> int:
    return result.scores.size if isinstance(result, Classifications) else result.size
