"""TensorFlow Serving's REST form of ``:predict``: tensors in and out by signature, for models with and without a card.

A client written for TensorFlow Serving needs no change but the port. Unlike there, the head of the answer says which
version it came from, and wrong ranks, sizes and values are refused before they reach the model.
"""

import asyncio
from concurrent.futures import Executor
from typing import Any

from serving.gateway import encode_tensors
from serving.gateway.decode import tensors
from serving.gateway.edge import Target
from serving.gateway.facades.native import answer
from serving.gateway.http import Answer, Request
from serving.gateway.predict import Call, Predictor
from serving.gateway.servable import Servable
from serving.gateway.validate import check

_LARGE = 262_144  # bytes of JSON whose lists take long enough to become arrays that others should not wait for it


class TensorFlow:
    """``{"instances": …}`` → ``{"predictions": …}``, ``{"inputs": …}`` → ``{"outputs": …}``."""

    def __init__(self, predictor: Predictor, *, max_rows: int, threads: Executor) -> None:
        self._predictor = predictor
        self._max_rows = max_rows
        self._threads = threads

    async def predict(self, request: Request, target: Target, servable: Servable, keys: dict[str, Any]) -> Answer:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """

        async def prepare(servable: Servable) -> Call:
            if request.size < _LARGE:
                return self._call(servable, keys)
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, servable, keys)

        result = await self._predictor.run(servable, target.wanted, prepare, request.deadline)
        encoded = encode_tensors.columns if "inputs" in keys else encode_tensors.predictions
        return answer(result, encoded(result.outputs))

    def _call(self, servable: Servable, keys: dict[str, Any]) -> Call:
        signature = servable.signature(tensors.signature_name(keys))
        arrays = tensors.read(keys, signature)
        return Call(signature, arrays, check(signature, arrays, self._max_rows))
