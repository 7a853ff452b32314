"""Documents of the Open Inference Protocol, with Triton's configuration, statistics and repository index.

Their keys are the fields of the messages of the same name in ``serving/gateway/oip_grpc/proto``.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

_ModelName = Annotated[str, Field(examples=["fashion_cnn"])]
_VersionText = Annotated[str, Field(description="the number as text", examples=["1"])]


class ServerMetadata(BaseModel):
    """Name, version and extensions of the server."""

    name: str = "vitrine"
    version: str = "1"
    extensions: list[str] = ["binary_tensor_data", "model_repository", "model_configuration", "statistics"]


class ServerLive(BaseModel):
    """The process is alive."""

    live: bool = True


class ServerReady(BaseModel):
    """Whether the gateway can answer requests."""

    ready: bool


class ModelReady(BaseModel):
    """A model or version that can answer requests."""

    name: _ModelName
    ready: bool = True


class TensorMetadata(BaseModel):
    """One input or output."""

    name: Annotated[str, Field(examples=["image"])]
    datatype: Annotated[str, Field(examples=["UINT8"])]
    shape: Annotated[list[int], Field(description="-1 for a size that may vary", examples=[[-1, 28, 28, 1]])]


class ModelMetadata(BaseModel):
    """The tensors of a model's default signature."""

    name: _ModelName
    versions: Annotated[list[str], Field(examples=[["1"]])]
    platform: str = "tensorflow_savedmodel"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfig(BaseModel):
    """One input or output."""

    name: Annotated[str, Field(examples=["image"])]
    data_type: Annotated[str, Field(examples=["TYPE_UINT8"])]
    dims: Annotated[
        list[int],
        Field(description="-1 for a size that may vary; without rows if max_batch_size is set", examples=[[28, 28, 1]]),
    ]


class DynamicBatching(BaseModel):
    """Requests that wait at the same moment go out as one call, without a timer."""

    preferred_batch_size: list[int] = []
    max_queue_delay_microseconds: int = 0


class ModelConfiguration(BaseModel):
    """The configuration of a model, as far as this server has Triton's settings."""

    name: _ModelName
    platform: str = "tensorflow_savedmodel"
    backend: str = "tensorflow"
    max_batch_size: Annotated[
        int,
        Field(description="rows in a call, larger requests are split; 0 without rows", examples=[128]),
    ]
    input: list[TensorConfig]
    output: list[TensorConfig]
    dynamic_batching: DynamicBatching = DynamicBatching()


class StatisticDuration(BaseModel):
    """How often something happened, and the nanoseconds that it took."""

    count: int = 0
    ns: int = 0


class InferStatistics(BaseModel):
    """Requests by outcome, and where their time went. The time of ``compute_output`` is not measured."""

    success: StatisticDuration
    fail: StatisticDuration
    queue: StatisticDuration
    compute_input: StatisticDuration
    compute_infer: StatisticDuration
    compute_output: StatisticDuration
    cache_hit: StatisticDuration = StatisticDuration()
    cache_miss: StatisticDuration = StatisticDuration()


class InferBatchStatistics(BaseModel):
    """Calls of one number of rows."""

    batch_size: int
    compute_input: StatisticDuration = StatisticDuration()
    compute_infer: StatisticDuration
    compute_output: StatisticDuration = StatisticDuration()


class ModelStatistics(BaseModel):
    """Statistics of a version since it was loaded, of all workers together."""

    name: _ModelName
    version: _VersionText
    last_inference: Annotated[int, Field(description="Unix time of the last answer in milliseconds; 0 for none")]
    inference_count: Annotated[int, Field(description="rows that were computed")]
    execution_count: Annotated[int, Field(description="calls; one may have the rows of several requests")]
    inference_stats: InferStatistics
    batch_stats: list[InferBatchStatistics]


class StatisticsList(BaseModel):
    """Statistics by version."""

    model_stats: list[ModelStatistics]


class RepositoryEntry(BaseModel):
    """One version of a model, or a model without versions."""

    name: _ModelName
    version: _VersionText
    state: Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
    reason: Annotated[str, Field(description="why it is not READY")]


class RepositoryQuery(BaseModel):
    """The body of the request for the index."""

    ready: Annotated[bool, Field(description="only what is READY")] = False
