"""Liveness of a model server on a GPU: an HTTP server beside it that makes real predictions.

After a sticky CUDA error the process of TensorFlow Serving goes on, with open ports and a health service that says
SERVING, but each prediction fails or hangs until a new process starts. ``GET /livez`` asks for one prediction of every
model, with zeros as input. It answers 503 if the model server does not answer, or if no model computes. Then the
kubelet restarts the model server's container, whose ``livenessProbe`` names this port: containers of a pod share an
address.

A model that fails while another one computes is broken itself, and restarting would take the others away. A server at
its limit of calls, or one that loads, is not broken; only a refusal of every call for minutes is.
"""

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.gateway.backends.base import Arrays, ModelServer
from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel
from serving.gateway.errors import BadUpstream, DeadlineExceeded, GatewayError, Overloaded, Unavailable, VersionGone
from serving.gateway.models.discovery import ConfiguredModels
from serving.gateway.models.signature import Signature
from serving.gateway.observability import logging as logs
from serving.gateway.settings import addresses
from serving.tfs_api.tensors import is_float

_DEFAULT = "serving_default"
_MAX_ANSWER_BYTES = 32_000_000
_STATE_TIMEOUT = 5.0  # seconds, for calls that do not compute

log = logging.getLogger("vitrine.liveness")


class Evidence(Enum):
    """What one model's prediction says about the model server."""

    COMPUTED = "computed"
    REFUSED = "refused for now"
    FAILED = "failed"
    NONE = "no evidence"  # no version is loaded, or its inputs cannot be zeros


class Finding(NamedTuple):
    """Evidence, and the error that it comes from."""

    evidence: Evidence
    message: str = ""


def problem(findings: Mapping[str, Finding], idle_seconds: float, longest_refusal: float) -> str | None:
    """Return why the model server must be restarted, or None.

    Args:
        findings: by model.
        idle_seconds: time since a model computed, or since none was asked.
        longest_refusal: time for which refusals count as overload.
    """
    evidence = {one.evidence for one in findings.values()}
    if Evidence.COMPUTED in evidence or not evidence & {Evidence.FAILED, Evidence.REFUSED}:
        return None
    if Evidence.REFUSED in evidence and idle_seconds <= longest_refusal:
        return None
    return "; ".join(f"{model}: {one.message}" for model, one in findings.items() if one.message)


class Prober:
    """Asks a model server for predictions of its configured models."""

    def __init__(
        self, model_server: ModelServer, models: ConfiguredModels, deadline_seconds: float, longest_refusal: float
    ) -> None:
        self._model_server = model_server
        self._models = models
        self._deadline_seconds = deadline_seconds
        self._longest_refusal = longest_refusal
        self._signatures: dict[tuple[str, int], Signature | None] = {}
        self._computed = asyncio.get_running_loop().time()

    async def check(self) -> str | None:
        """Return why the model server must be restarted, or None."""
        names = list(self._models.read())
        found = dict(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))
        now = asyncio.get_running_loop().time()
        evidence = {one.evidence for one in found.values()}
        if Evidence.COMPUTED in evidence or evidence <= {Evidence.NONE}:
            self._computed = now
        return problem(found, now - self._computed, self._longest_refusal)

    async def _ask(self, model: str) -> Finding:
        try:
            statuses = await self._model_server.status(model, _STATE_TIMEOUT)
        except GatewayError as error:
            return Finding(Evidence.REFUSED if isinstance(error, Overloaded) else Evidence.FAILED, error.message)
        available = [version for version, status in statuses.items() if status.state == "AVAILABLE"]
        if not available:
            return Finding(Evidence.NONE)
        try:
            return await self._predict(model, max(available))
        except (BadUpstream, DeadlineExceeded) as error:
            return Finding(Evidence.FAILED, error.message)
        except VersionGone:
            return Finding(Evidence.NONE)
        except Unavailable as error:
            return Finding(Evidence.REFUSED, error.message)
        except GatewayError:
            return Finding(Evidence.NONE)

    async def _predict(self, model: str, version: int) -> Finding:
        if (model, version) not in self._signatures:
            known = await self._model_server.signatures(model, version, _STATE_TIMEOUT)
            self._signatures[model, version] = numeric(known)
        signature = self._signatures[model, version]
        if signature is None:
            return Finding(Evidence.NONE)
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        await self._model_server.predict(model, version, signature, [zeros(signature)], deadline)
        return Finding(Evidence.COMPUTED)


def numeric(signatures: Mapping[str, Signature]) -> Signature | None:
    """Return a signature that computes numbers from numbers, the default one first; None if there is none."""
    ordered = sorted(signatures.values(), key=lambda one: one.name != _DEFAULT)
    return next((one for one in ordered if _is_numeric(one)), None)


def _is_numeric(signature: Signature) -> bool:
    has_numbers = all(
        spec.dtype and not spec.is_string and spec.shape is not None for spec in signature.inputs.values()
    )
    computes = any(spec.dtype and is_float(spec.dtype) for spec in signature.outputs.values())
    return bool(signature.inputs) and has_numbers and computes


def zeros(signature: Signature) -> Arrays:
    """Return one row of zeros for each input; free sizes are 1."""
    return {
        name: np.zeros([1 if size is None else size for size in spec.shape or ()], spec.dtype)
        for name, spec in signature.inputs.items()
    }


async def serve(model_server: str, models: ConfiguredModels, host: str, port: int, limits: tuple[float, float]) -> None:
    """Answer ``/livez`` until a signal comes."""
    backend = TFServingBackend(Channel(addresses(model_server), max_message_bytes=_MAX_ANSWER_BYTES), model_server)
    prober = Prober(backend, models, *limits)

    async def livez(request: Request) -> PlainTextResponse:
        why = await prober.check()
        if why is None:
            return PlainTextResponse("ok\n")
        log.error("the model server does not compute: %s", why)
        return PlainTextResponse(f"{why}\n", status_code=503)

    app = Starlette(routes=[Route("/livez", livez)])
    config = uvicorn.Config(app, host=host, port=port, lifespan="off", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()
    await backend.close()


def main(
    models_config: Annotated[Path, typer.Option(help="File of the models' names.")] = Path("/models/models.config"),
    model_server: Annotated[str, typer.Option(help="gRPC address of the model server.")] = "127.0.0.1:8500",
    host: Annotated[str, typer.Option(help="Address to listen on. The kubelet calls the pod's.")] = "0.0.0.0",  # nosec B104
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8502,
    deadline_seconds: Annotated[float, typer.Option(min=0.1, help="Time limit of a prediction.")] = 20.0,
    longest_refusal: Annotated[
        float, typer.Option(min=0.0, help="Seconds for which a server that refuses every call counts as overloaded.")
    ] = 300.0,
) -> None:
    """Answer GET /livez by real predictions of the model server beside this program."""
    logs.set_up("info", "json")
    models = ConfiguredModels(models_config)
    asyncio.run(serve(model_server, models, host, port, (deadline_seconds, longest_refusal)))


if __name__ == "__main__":
    typer.run(main)
