"""Message classes of the Open Inference Protocol. Written by ``make protos``."""

from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

DESCRIPTOR_SET: bytes
DataType: EnumTypeWrapper
TYPE_INVALID: int
TYPE_BOOL: int
TYPE_UINT8: int
TYPE_UINT16: int
TYPE_UINT32: int
TYPE_UINT64: int
TYPE_INT8: int
TYPE_INT16: int
TYPE_INT32: int
TYPE_INT64: int
TYPE_FP16: int
TYPE_FP32: int
TYPE_FP64: int
TYPE_STRING: int
TYPE_BF16: int

class ServerLiveRequest(Message): ...

class ServerLiveResponse(Message):
    live: bool

class ServerReadyRequest(Message): ...

class ServerReadyResponse(Message):
    ready: bool

class ModelReadyRequest(Message):
    name: str
    version: str

class ModelReadyResponse(Message):
    ready: bool

class ServerMetadataRequest(Message): ...

class ServerMetadataResponse(Message):
    name: str
    version: str
    extensions: RepeatedScalarFieldContainer[str]

class ModelMetadataRequest(Message):
    name: str
    version: str

class ModelMetadataResponse(Message):
    class TensorMetadata(Message):
        name: str
        datatype: str
        shape: RepeatedScalarFieldContainer[int]

    name: str
    versions: RepeatedScalarFieldContainer[str]
    platform: str
    inputs: RepeatedCompositeFieldContainer[ModelMetadataResponse.TensorMetadata]
    outputs: RepeatedCompositeFieldContainer[ModelMetadataResponse.TensorMetadata]

class InferParameter(Message):
    bool_param: bool
    int64_param: int
    string_param: str
    double_param: float
    uint64_param: int

class InferTensorContents(Message):
    bool_contents: RepeatedScalarFieldContainer[bool]
    int_contents: RepeatedScalarFieldContainer[int]
    int64_contents: RepeatedScalarFieldContainer[int]
    uint_contents: RepeatedScalarFieldContainer[int]
    uint64_contents: RepeatedScalarFieldContainer[int]
    fp32_contents: RepeatedScalarFieldContainer[float]
    fp64_contents: RepeatedScalarFieldContainer[float]
    bytes_contents: RepeatedScalarFieldContainer[bytes]

class ModelInferRequest(Message):
    class InferInputTensor(Message):
        name: str
        datatype: str
        shape: RepeatedScalarFieldContainer[int]
        parameters: MessageMap[str, InferParameter]
        contents: InferTensorContents

    class InferRequestedOutputTensor(Message):
        name: str
        parameters: MessageMap[str, InferParameter]

    model_name: str
    model_version: str
    id: str
    parameters: MessageMap[str, InferParameter]
    inputs: RepeatedCompositeFieldContainer[ModelInferRequest.InferInputTensor]
    outputs: RepeatedCompositeFieldContainer[ModelInferRequest.InferRequestedOutputTensor]
    raw_input_contents: RepeatedScalarFieldContainer[bytes]

class ModelInferResponse(Message):
    class InferOutputTensor(Message):
        name: str
        datatype: str
        shape: RepeatedScalarFieldContainer[int]
        parameters: MessageMap[str, InferParameter]
        contents: InferTensorContents

    model_name: str
    model_version: str
    id: str
    parameters: MessageMap[str, InferParameter]
    outputs: RepeatedCompositeFieldContainer[ModelInferResponse.InferOutputTensor]
    raw_output_contents: RepeatedScalarFieldContainer[bytes]

class ModelConfigRequest(Message):
    name: str
    version: str

class ModelConfigResponse(Message):
    config: ModelConfig

class ModelInput(Message):
    name: str
    data_type: int
    dims: RepeatedScalarFieldContainer[int]

class ModelOutput(Message):
    name: str
    data_type: int
    dims: RepeatedScalarFieldContainer[int]

class ModelDynamicBatching(Message):
    preferred_batch_size: RepeatedScalarFieldContainer[int]
    max_queue_delay_microseconds: int

class ModelConfig(Message):
    name: str
    platform: str
    max_batch_size: int
    input: RepeatedCompositeFieldContainer[ModelInput]
    output: RepeatedCompositeFieldContainer[ModelOutput]
    dynamic_batching: ModelDynamicBatching
    backend: str

class ModelStatisticsRequest(Message):
    name: str
    version: str

class StatisticDuration(Message):
    count: int
    ns: int

class InferStatistics(Message):
    success: StatisticDuration
    fail: StatisticDuration
    queue: StatisticDuration
    compute_input: StatisticDuration
    compute_infer: StatisticDuration
    compute_output: StatisticDuration
    cache_hit: StatisticDuration
    cache_miss: StatisticDuration

class InferBatchStatistics(Message):
    batch_size: int
    compute_input: StatisticDuration
    compute_infer: StatisticDuration
    compute_output: StatisticDuration

class ModelStatistics(Message):
    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferStatistics
    batch_stats: RepeatedCompositeFieldContainer[InferBatchStatistics]

class ModelStatisticsResponse(Message):
    model_stats: RepeatedCompositeFieldContainer[ModelStatistics]

class RepositoryIndexRequest(Message):
    repository_name: str
    ready: bool

class RepositoryIndexResponse(Message):
    class ModelIndex(Message):
        name: str
        version: str
        state: str
        reason: str

    models: RepeatedCompositeFieldContainer[RepositoryIndexResponse.ModelIndex]

class RepositoryModelLoadRequest(Message): ...
class RepositoryModelLoadResponse(Message): ...
class RepositoryModelUnloadRequest(Message): ...
class RepositoryModelUnloadResponse(Message): ...
