"""TensorFlow Serving, or the embedded model server as a process of its own, behind a gRPC channel.

Source: tensorflow_serving/apis/prediction_service.proto and model_service.proto.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from serving.gateway.backends import signature_defs
from serving.gateway.backends.base import Arrays, Classifications, ExampleBatch, Metadata, Outputs, VersionStatus
from serving.gateway.backends.failures import LATE, failure
from serving.gateway.backends.tf_serving import predict_codec
from serving.gateway.backends.tf_serving.examples_codec import classifications, encode_examples, regressions
from serving.gateway.backends.tf_serving.grpc_client import Channel, MessageTooLarge, RpcError
from serving.gateway.backends.tf_serving.predict_codec import RequestEncoder
from serving.gateway.errors import BadUpstream, DeadlineExceeded, GatewayError, VersionGone
from serving.gateway.models.signature import Signature
from serving.tfs_api import messages
from serving.tfs_api.methods import CLASSIFY, GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT, REGRESS
from serving.tfs_api.status_codes import Code

_RETRY_PAUSE = 0.05  # seconds
# A model server that stops cancels calls that reach it at that moment. Inference may run twice.
_REPEATED = (Code.UNAVAILABLE, Code.CANCELLED)
_MAX_ENCODERS = 1024  # kept for signatures in use; above it all are dropped, unloaded versions included


class TFServingBackend:
    """Implements :class:`~serving.gateway.backends.base.ModelServer` by calls to a model server."""

    def __init__(self, channel: Channel, address: str) -> None:
        """``address`` names the model server in messages."""
        self._channel = channel
        self._unreachable = f"the model server at {address} cannot be reached"
        self._encoders: dict[tuple[str, int, str], tuple[Signature, RequestEncoder]] = {}

    async def predict(
        self,
        model: str,
        version: int,
        signature: Signature,
        parts: Sequence[Arrays],
        deadline: float,
        metadata: Metadata | None = None,
    ) -> Outputs:
        """Encode the parts into one PredictRequest, without another copy of their rows."""
        request = self._encoder(model, version, signature).encode(parts)
        response = _parse(messages.PredictResponse, await self._call(PREDICT, request, deadline, metadata))
        return predict_codec.decode_response(response, signature)

    async def classify(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> Classifications:
        """Call Classify."""
        request = encode_examples(model, version, signature, examples)
        response = await self._call(CLASSIFY, request, deadline)
        return classifications(_parse(messages.ClassificationResponse, response).result)

    async def regress(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> NDArray[np.float32]:
        """Call Regress."""
        request = encode_examples(model, version, signature, examples)
        response = await self._call(REGRESS, request, deadline)
        return regressions(_parse(messages.RegressionResponse, response).result)

    async def signatures(self, model: str, version: int, timeout: float) -> dict[str, Signature]:
        """Call GetModelMetadata."""
        return signature_defs.signatures(await self._signature_defs(model, version, timeout))

    async def metadata(self, model: str, version: int, timeout: float) -> dict[str, Any]:
        """Call GetModelMetadata."""
        return signature_defs.as_json(await self._signature_defs(model, version, timeout))

    async def status(self, model: str, timeout: float) -> dict[int, VersionStatus]:
        """Call GetModelStatus."""
        request = messages.GetModelStatusRequest()
        request.model_spec.name = model
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            answer = await self._call(GET_MODEL_STATUS, request.SerializeToString(), deadline)
        except VersionGone:
            return {}
        response = _parse(messages.GetModelStatusResponse, answer)
        name = messages.ModelVersionStatus.State.Name
        return {
            int(one.version): VersionStatus(
                name(one.state), Code.from_number(one.status.error_code).name, one.status.error_message
            )
            for one in response.model_version_status
        }

    def notes(self, model: str) -> list[str]:
        """Return nothing: TensorFlow Serving runs every signature of a version that it loads."""
        return []

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def _encoder(self, model: str, version: int, signature: Signature) -> RequestEncoder:
        key = (model, version, signature.name)
        known = self._encoders.get(key)
        if known is not None and known[0] is signature:
            return known[1]
        if len(self._encoders) >= _MAX_ENCODERS:
            self._encoders.clear()
        encoder = RequestEncoder(model, version, signature)
        self._encoders[key] = signature, encoder
        return encoder

    async def _signature_defs(self, model: str, version: int, timeout: float) -> Any:
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        request.model_spec.version.value = version
        deadline = asyncio.get_running_loop().time() + timeout
        answer = await self._call(GET_MODEL_METADATA, request.SerializeToString(), deadline)
        response = _parse(messages.GetModelMetadataResponse, answer)
        definitions = messages.SignatureDefMap()
        if not response.metadata["signature_def"].Unpack(definitions):
            raise BadUpstream(f"the model server's metadata of {model} version {version} has no signatures")
        return definitions

    async def _call(self, path: str, request: bytes, deadline: float, metadata: Metadata | None = None) -> bytes:
        loop = asyncio.get_running_loop()
        retried = False
        while True:
            timeout = deadline - loop.time()
            if timeout <= 0:
                raise DeadlineExceeded(LATE)
            try:
                return await self._channel.call(path, request, deadline, metadata)
            except RpcError as error:
                if error.code not in _REPEATED or retried or timeout <= _RETRY_PAUSE:
                    raise self._failure(error) from None
            retried = True
            await asyncio.sleep(_RETRY_PAUSE)

    def _failure(self, error: RpcError) -> GatewayError:
        if isinstance(error, MessageTooLarge):
            return BadUpstream(f"the model server failed: {error.details}; VITRINE_MAX_ANSWER_BYTES sets the limit")
        return failure(error.code, error.details, self._unreachable)


def _parse(kind: Any, answer: bytes) -> Any:
    try:
        return kind.FromString(answer)
    except DecodeError:
        raise BadUpstream(f"the model server's response is not a {kind.DESCRIPTOR.name}") from None
