"""The embedded model server inside the gateway process: no socket and no protobuf between them.

The models run from their ONNX exports, without TensorFlow. A call that is expected to be short runs in the event loop;
any other runs in a thread, where onnxruntime releases the GIL, so that the gateway goes on decoding. Source, Loader,
Manager and ServerCore are those of :mod:`serving.model_server`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.models_config import MOUNT_POINT
from serving.gateway.backends import signature_defs
from serving.gateway.backends.base import Arrays, Classifications, ExampleBatch, Metadata, Outputs, VersionStatus
from serving.gateway.backends.failures import failure
from serving.gateway.errors import GatewayError
from serving.gateway.models.signature import Signature
from serving.model_server import startup
from serving.model_server.errors import ServingError
from serving.model_server.flags import Flags
from serving.tfs_api import messages
from serving.tfs_api.status_codes import Code

if TYPE_CHECKING:
    from serving.model_server.ports import Ports

_UNREACHABLE = "the engine in this process is busy or stopping"
_OTHER_PROCESS = "run the model server as a process of its own (vitrine up --model-server-process)"
_STOP_SECONDS = 30.0  # grace period of calls on the additional ports

log = logging.getLogger("vitrine.embedded")


@dataclass(frozen=True)
class EmbeddedSettings:
    """Settings of the embedded model server.

    Attributes:
        exports: folder of all models; paths below ``/models`` in ``models_config`` lie below it.
        models_config: the file that names the models.
        poll_seconds: interval at which the folder and the file are read.
        verify_key_file: public key; versions without a valid signature are not loaded.
        host: address of the additional ports.
        grpc_port: port of TensorFlow Serving's gRPC API for other clients; 0 for none.
        rest_port: port of TensorFlow Serving's REST API; 0 for none.
    """

    exports: Path
    models_config: Path
    poll_seconds: float
    verify_key_file: Path | None = None
    host: str = "127.0.0.1"
    grpc_port: int = 0
    rest_port: int = 0

    def flags(self) -> Flags:
        """The embedded model server's flags."""
        return Flags(
            host=self.host,
            port=self.grpc_port,
            rest_api_port=self.rest_port,
            model_config_file=str(self.models_config),
            mount=(f"{MOUNT_POINT}={self.exports.resolve()}",),
            model_config_file_poll_wait_seconds=self.poll_seconds,
            file_system_poll_wait_seconds=self.poll_seconds,
            allow_version_labels_for_unavailable_models=True,
            enable_serialization_as_tensor_content=True,
            grpc_max_threads=200,
            max_num_load_retries=1,
            load_retry_interval_micros=1_000_000,
            verify_key_file=str(self.verify_key_file or ""),
            engine="onnx",
        )


class EmbeddedBackend:
    """Implements :class:`~serving.gateway.backends.base.ModelServer` in this process."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        """Start to load the models. Call it in a running event loop.

        Raises:
            ServingError: the key file is not valid.
        """
        self._flags = settings.flags()
        self._inference = startup.build(self._flags)
        self._ports: Ports | None = None
        self._loading = asyncio.create_task(self._load())
        self._listed = asyncio.create_task(self._inference.core.configured.wait())

    async def predict(
        self,
        model: str,
        version: int,
        signature: Signature,
        parts: Sequence[Arrays],
        deadline: float,
        metadata: Metadata | None = None,
    ) -> Outputs:
        """Run a signature on the concatenated parts.

        A call that is cancelled before a thread takes it does not run.
        """
        inputs = parts[0] if len(parts) == 1 else _concatenated(parts)
        try:
            outputs = await self._inference.predict(model, inputs, signature=signature.name, version=version)
        except ServingError as error:
            raise _gateway_error(error) from None
        return Outputs.checked((name, _with_bytes(array)) for name, array in outputs.arrays.items())

    async def classify(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> Classifications:
        """Run a signature on serialized tf.Examples. ONNX has no operator that parses them."""
        try:
            outputs = await self._inference.classify(model, _merged(examples), signature=signature, version=version)
        except ServingError as error:
            raise _gateway_error(error) from None
        shape = len(outputs.results), len(outputs.results[0])
        labels = np.array([label for row in outputs.results for label, _ in row], object).reshape(shape)
        scores = np.array([score for row in outputs.results for _, score in row], np.float32).reshape(shape)
        return Classifications(labels, scores)

    async def regress(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> NDArray[np.float32]:
        """Run a signature on serialized tf.Examples; see :meth:`classify`."""
        try:
            outputs = await self._inference.regress(model, _merged(examples), signature=signature, version=version)
        except ServingError as error:
            raise _gateway_error(error) from None
        return np.array(outputs.results, np.float32)

    async def signatures(self, model: str, version: int, timeout: float) -> dict[str, Signature]:
        """Return the signatures of the version's SavedModel."""
        return signature_defs.signatures(self._signature_defs(model, version))

    async def metadata(self, model: str, version: int, timeout: float) -> dict[str, Any]:
        """Return the SignatureDefs of the version's SavedModel."""
        return signature_defs.as_json(self._signature_defs(model, version))

    async def status(self, model: str, timeout: float) -> dict[int, VersionStatus]:
        """Return the state of each version. At the start, wait until the folder has been read."""
        if not self._listed.done():
            await asyncio.wait([self._listed], timeout=timeout)
        try:
            return {one.number: _status(one.state.name, one.error) for one in self._inference.status(model)}
        except ServingError:
            return {}

    def notes(self, model: str) -> list[str]:
        """Return a sentence for each version with signatures that need TensorFlow."""
        try:
            versions = self._inference.status(model)
        except ServingError:
            return []
        notes = []
        for version in versions:
            if version.servable is not None:
                missing = [
                    name
                    for name, signature in version.servable.signatures.items()
                    if signature.inputs and not version.servable.runs_with_onnx(name)
                ]
                if missing:
                    which = f"{'signatures' if len(missing) > 1 else 'signature'} {', '.join(missing)}"
                    notes.append(
                        f"model {model} version {version.number} does not serve {which}, which its ONNX export lacks: "
                        f"{_OTHER_PROCESS}"
                    )
            elif version.error is not None and version.error.code is Code.UNIMPLEMENTED:
                notes.append(f"model {model} version {version.number} is not served: {_unsupported(version.error)}")
        return notes

    async def close(self) -> None:
        """Close the additional ports and unload the models."""
        for task in (self._loading, self._listed):
            task.cancel()
        await asyncio.gather(self._loading, self._listed, return_exceptions=True)
        if self._ports is not None:
            await self._ports.close(_STOP_SECONDS)
        await self._inference.close()

    async def _load(self) -> None:
        try:
            await startup.load(self._flags, self._inference)
        except ServingError as error:
            log.error("%s", error)
            self._listed.cancel()
        if self._flags.port or self._flags.rest_api_port:
            from serving.model_server import ports  # imports grpcio

            try:
                self._ports = await ports.open(self._flags, self._inference)
            except (ServingError, OSError) as error:
                log.error("the additional ports of TensorFlow Serving's API are not open: %s", error)

    def _signature_defs(self, model: str, version: int) -> Any:
        try:
            found = self._inference.signatures(model, version=version)
        except ServingError as error:
            raise _gateway_error(error) from None
        return messages.SignatureDefMap.FromString(found.signature_def_map)


def _concatenated(parts: Sequence[Arrays]) -> Mapping[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _with_bytes(array: NDArray[Any]) -> NDArray[Any]:
    """Strings as bytes: onnxruntime returns text."""
    if array.dtype != object or all(type(value) is bytes for value in array.flat):
        return array
    encoded = np.empty(array.size, object)
    encoded[:] = [value.encode() if isinstance(value, str) else value for value in array.flat]
    return encoded.reshape(array.shape)


def _merged(examples: ExampleBatch) -> Sequence[bytes]:
    """The context before each example: protobuf merges messages that follow each other."""
    return [examples.context + one for one in examples.serialized] if examples.context else examples.serialized


def _status(state: str, error: ServingError | None) -> VersionStatus:
    if error is None:
        return VersionStatus(state)
    unsupported = error.code is Code.UNIMPLEMENTED
    return VersionStatus(state, error.code.name, _unsupported(error) if unsupported else error.message)


def _gateway_error(error: ServingError) -> GatewayError:
    details = _unsupported(error) if error.code is Code.UNIMPLEMENTED else error.message
    return failure(error.code, details, _UNREACHABLE)


def _unsupported(error: ServingError) -> str:
    return f"{error.message}: {_OTHER_PROCESS}"
