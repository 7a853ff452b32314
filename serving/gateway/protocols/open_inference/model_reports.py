"""What the Open Inference Protocol says about models: metadata, configuration, statistics, repository index."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from serving.gateway.backends.base import VersionStatus
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES
from serving.gateway.errors import NotFound, Unavailable, Unimplemented
from serving.gateway.http.keys_file import Key
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.models.signature import Signature, TensorSpec
from serving.gateway.observability.statistics import Duration, VersionStatistics
from serving.gateway.protocols.open_inference.documents import (
    InferBatchStatistics,
    InferStatistics,
    ModelConfiguration,
    ModelMetadata,
    ModelStatistics,
    RepositoryEntry,
    StatisticDuration,
    StatisticsList,
    TensorConfig,
    TensorMetadata,
)

_STATES = {"AVAILABLE": "LOADING", "START": "LOADING", "LOADING": "LOADING", "UNLOADING": "UNLOADING"}
_LOADING_BY_REQUEST = (
    "this server loads what models.config and the exports folder name, not by request; publish a version, or move a "
    "label with :promote"
)


class ModelReports:
    """Makes the documents from the current state of the models."""

    def __init__(
        self,
        models: Callable[[], Mapping[str, ModelState]],
        is_ready: Callable[[], bool],
        statistics: Callable[[], Awaitable[list[VersionStatistics]]],
        max_rows: int,
    ) -> None:
        """Create the reports.

        Args:
            models: returns the current state of the models.
            is_ready: returns whether the gateway can answer requests.
            statistics: returns the statistics of the versions of all workers.
            max_rows: most rows of a call.
        """
        self._models = models
        self.is_ready = is_ready
        self._statistics = statistics
        self._max_rows = max_rows

    def check_ready(self, model: str, version: int | None) -> None:
        """Check that a model or version can answer.

        Raises:
            NotFound, Unavailable, Unimplemented: it cannot.
        """
        choose(self._models(), model, VersionChoice(version=version))

    def is_model_ready(self, model: str, version: int | None) -> bool:
        """Return whether a model or version can answer; false if it does not exist."""
        try:
            self.check_ready(model, version)
        except (NotFound, Unavailable, Unimplemented):
            return False
        return True

    def metadata(self, model: str, version: int | None) -> ModelMetadata:
        """Return the tensors of the default signature. Raises as :meth:`check_ready`."""
        signature = self._signature(model, version)
        return ModelMetadata(
            name=model,
            versions=[str(number) for number in self._models()[model].versions],
            inputs=[_tensor(spec) for spec in signature.inputs.values()],
            outputs=[_tensor(spec) for spec in signature.outputs.values()],
        )

    def config(self, model: str, version: int | None) -> ModelConfiguration:
        """Return the configuration. Raises as :meth:`check_ready`."""
        signature = self._signature(model, version)
        return ModelConfiguration(
            name=model,
            max_batch_size=self._max_rows if signature.batched else 0,
            input=[_config(spec, signature.batched) for spec in signature.inputs.values()],
            output=[_config(spec, signature.batched) for spec in signature.outputs.values()],
        )

    async def statistics(self, key: Key | None, model: str, version: int | None) -> StatisticsList:
        """Return the statistics of a model's versions, or of all versions that the key may see if ``model`` is empty.

        Raises:
            NotFound, Unavailable, Unimplemented: the model or version cannot answer.
        """
        if model:
            self.check_ready(model, version)
        known = {(one.model, one.version): one for one in await self._statistics()}
        return StatisticsList(
            model_stats=[
                _statistics(known.get((name, number)) or VersionStatistics(name, number))
                for name, state in self._models().items()
                for number in state.versions
                if (name == model if model else key is None or key.reaches(name)) and version in (None, number)
            ]
        )

    def index(self, key: Key | None, ready: bool) -> list[RepositoryEntry]:
        """Return all versions that the key may see; with ``ready`` only those that can answer."""
        entries = [
            entry
            for state in self._models().values()
            if key is None or key.reaches(state.name)
            for entry in _index(state)
        ]
        return [entry for entry in entries if entry.state == "READY"] if ready else entries

    def refuse_loading(self) -> NoReturn:
        """Refuse to load or unload a model by request.

        Raises:
            Unimplemented: always.
        """
        raise Unimplemented(_LOADING_BY_REQUEST)

    def _signature(self, model: str, version: int | None) -> Signature:
        found = choose(self._models(), model, VersionChoice(version=version))
        return found.signature(found.default_signature)


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(name=spec.name, datatype=_datatype(spec), shape=_sizes(spec))


def _config(spec: TensorSpec, batched: bool) -> TensorConfig:
    datatype = "STRING" if spec.is_string else _datatype(spec)
    return TensorConfig(
        name=spec.name,
        data_type=f"TYPE_{datatype}" if spec.data_type in DATATYPES else "TYPE_INVALID",
        dims=_sizes(spec)[1:] if batched else _sizes(spec),
    )


def _datatype(spec: TensorSpec) -> str:
    return DATATYPES.get(spec.data_type, str(spec).split(" ")[0].upper())


def _sizes(spec: TensorSpec) -> list[int]:
    return [-1 if size is None else size for size in spec.shape or (None,)] if spec.shape != () else []


def _statistics(one: VersionStatistics) -> ModelStatistics:
    calls = sorted(one.calls.items())
    infer = Duration(sum(call.count for _, call in calls), sum(call.seconds for _, call in calls))
    return ModelStatistics(
        name=one.model,
        version=str(one.version),
        last_inference=int(one.last * 1000),
        inference_count=sum(rows * call.count for rows, call in calls),
        execution_count=infer.count,
        inference_stats=InferStatistics(
            success=_duration(one.success),
            fail=_duration(one.failed),
            queue=_duration(one.queue),
            compute_input=_duration(one.decode),
            compute_infer=_duration(infer),
            compute_output=StatisticDuration(count=one.success.count),
        ),
        batch_stats=[InferBatchStatistics(batch_size=rows, compute_infer=_duration(call)) for rows, call in calls],
    )


def _duration(duration: Duration) -> StatisticDuration:
    return StatisticDuration(count=duration.count, ns=int(duration.seconds * 1e9))


def _index(state: ModelState) -> list[RepositoryEntry]:
    statuses = {**{number: VersionStatus("AVAILABLE") for number in state.versions}, **state.states}
    if not statuses:
        reason = state.problem or "it has no version"
        return [RepositoryEntry(name=state.name, version="", state="UNAVAILABLE", reason=reason)]
    return [_entry(state, number, status) for number, status in sorted(statuses.items())]


def _entry(state: ModelState, number: int, status: VersionStatus) -> RepositoryEntry:
    if number in state.versions and state.problem is None:
        return RepositoryEntry(name=state.name, version=str(number), state="READY", reason="")
    return RepositoryEntry.model_validate(
        {
            "name": state.name,
            "version": str(number),
            "state": "UNAVAILABLE" if state.problem else _STATES.get(status.state, "UNAVAILABLE"),
            "reason": state.problem or status.error_message or f"it is {status.state}",
        }
    )
