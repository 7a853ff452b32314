"""Message classes of TensorFlow Serving's API. Written by ``make protos``."""

from google.protobuf.any_pb2 import Any
from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, Int64Value, StringValue

DESCRIPTOR_SET: bytes
ModelType: EnumTypeWrapper
MODEL_TYPE_UNSPECIFIED: int
TENSORFLOW: int
OTHER: int

class FileSystemStoragePathSourceConfig(Message):
    class ServableVersionPolicy(Message):
        class Latest(Message):
            num_versions: int

        class All(Message): ...

        class Specific(Message):
            versions: RepeatedScalarFieldContainer[int]

        latest: FileSystemStoragePathSourceConfig.ServableVersionPolicy.Latest
        all: FileSystemStoragePathSourceConfig.ServableVersionPolicy.All
        specific: FileSystemStoragePathSourceConfig.ServableVersionPolicy.Specific

class LogCollectorConfig(Message):
    type: str
    filename_prefix: str

class PerTaskSamplingConfig(Message):
    dc: str
    task_index: int
    sampling_rate: float

class SamplingConfig(Message):
    sampling_rate: float
    attributes: int
    per_task_sampling_configs: RepeatedCompositeFieldContainer[PerTaskSamplingConfig]

class LoggingConfig(Message):
    log_collector_config: LogCollectorConfig
    sampling_config: SamplingConfig
    custom_logging_config: Any

class ModelConfig(Message):
    name: str
    base_path: str
    model_type: int
    model_platform: str
    logging_config: LoggingConfig
    model_version_policy: FileSystemStoragePathSourceConfig.ServableVersionPolicy
    version_labels: ScalarMap[str, int]

class ModelConfigList(Message):
    config: RepeatedCompositeFieldContainer[ModelConfig]

class ModelServerConfig(Message):
    model_config_list: ModelConfigList
    custom_model_config: Any

class BatchingParameters(Message):
    max_batch_size: Int64Value
    batch_timeout_micros: Int64Value
    max_enqueued_batches: Int64Value
    num_batch_threads: Int64Value
    thread_pool_name: StringValue
    allowed_batch_sizes: RepeatedScalarFieldContainer[int]
    pad_variable_length_inputs: bool
    enable_large_batch_splitting: BoolValue
    max_execution_batch_size: Int64Value

class PrometheusConfig(Message):
    enable: bool
    path: str

class MonitoringConfig(Message):
    prometheus_config: PrometheusConfig

class SSLConfig(Message):
    server_key: str
    server_cert: str
    custom_ca: str
    client_verify: bool

Code: EnumTypeWrapper
OK: int
CANCELLED: int
UNKNOWN: int
INVALID_ARGUMENT: int
DEADLINE_EXCEEDED: int
NOT_FOUND: int
ALREADY_EXISTS: int
PERMISSION_DENIED: int
RESOURCE_EXHAUSTED: int
FAILED_PRECONDITION: int
ABORTED: int
OUT_OF_RANGE: int
UNIMPLEMENTED: int
INTERNAL: int
UNAVAILABLE: int
DATA_LOSS: int
UNAUTHENTICATED: int

class BytesList(Message):
    value: RepeatedScalarFieldContainer[bytes]

class FloatList(Message):
    value: RepeatedScalarFieldContainer[float]

class Int64List(Message):
    value: RepeatedScalarFieldContainer[int]

class Feature(Message):
    bytes_list: BytesList
    float_list: FloatList
    int64_list: Int64List

class Features(Message):
    feature: MessageMap[str, Feature]

class Example(Message):
    features: Features

class HealthCheckRequest(Message):
    service: str

class HealthCheckResponse(Message):
    ServingStatus: EnumTypeWrapper
    UNKNOWN: int
    SERVING: int
    NOT_SERVING: int
    SERVICE_UNKNOWN: int
    status: int

DataType: EnumTypeWrapper
DT_INVALID: int
DT_FLOAT: int
DT_DOUBLE: int
DT_INT32: int
DT_UINT8: int
DT_INT16: int
DT_INT8: int
DT_STRING: int
DT_COMPLEX64: int
DT_INT64: int
DT_BOOL: int
DT_QINT8: int
DT_QUINT8: int
DT_QINT32: int
DT_BFLOAT16: int
DT_QINT16: int
DT_QUINT16: int
DT_UINT16: int
DT_COMPLEX128: int
DT_HALF: int
DT_RESOURCE: int
DT_VARIANT: int
DT_UINT32: int
DT_UINT64: int
DT_FLOAT8_E5M2: int
DT_FLOAT8_E4M3FN: int
DT_FLOAT8_E4M3FNUZ: int
DT_FLOAT8_E4M3B11FNUZ: int
DT_FLOAT8_E5M2FNUZ: int
DT_INT4: int
DT_UINT4: int
DT_INT2: int
DT_UINT2: int
DT_FLOAT4_E2M1FN: int
DT_FLOAT_REF: int
DT_DOUBLE_REF: int
DT_INT32_REF: int
DT_UINT8_REF: int
DT_INT16_REF: int
DT_INT8_REF: int
DT_STRING_REF: int
DT_COMPLEX64_REF: int
DT_INT64_REF: int
DT_BOOL_REF: int
DT_QINT8_REF: int
DT_QUINT8_REF: int
DT_QINT32_REF: int
DT_BFLOAT16_REF: int
DT_QINT16_REF: int
DT_QUINT16_REF: int
DT_UINT16_REF: int
DT_COMPLEX128_REF: int
DT_HALF_REF: int
DT_RESOURCE_REF: int
DT_VARIANT_REF: int
DT_UINT32_REF: int
DT_UINT64_REF: int
DT_FLOAT8_E5M2_REF: int
DT_FLOAT8_E4M3FN_REF: int
DT_FLOAT8_E4M3FNUZ_REF: int
DT_FLOAT8_E4M3B11FNUZ_REF: int
DT_FLOAT8_E5M2FNUZ_REF: int
DT_INT4_REF: int
DT_UINT4_REF: int
DT_INT2_REF: int
DT_UINT2_REF: int
DT_FLOAT4_E2M1FN_REF: int

class TensorShapeProto(Message):
    class Dim(Message):
        size: int
        name: str

    dim: RepeatedCompositeFieldContainer[TensorShapeProto.Dim]
    unknown_rank: bool

class TensorProto(Message):
    dtype: int
    tensor_shape: TensorShapeProto
    version_number: int
    tensor_content: bytes
    float_val: RepeatedScalarFieldContainer[float]
    double_val: RepeatedScalarFieldContainer[float]
    int_val: RepeatedScalarFieldContainer[int]
    string_val: RepeatedScalarFieldContainer[bytes]
    scomplex_val: RepeatedScalarFieldContainer[float]
    int64_val: RepeatedScalarFieldContainer[int]
    bool_val: RepeatedScalarFieldContainer[bool]
    dcomplex_val: RepeatedScalarFieldContainer[float]
    half_val: RepeatedScalarFieldContainer[int]
    resource_handle_val: RepeatedCompositeFieldContainer[ResourceHandleProto]
    variant_val: RepeatedCompositeFieldContainer[VariantTensorDataProto]
    uint32_val: RepeatedScalarFieldContainer[int]
    uint64_val: RepeatedScalarFieldContainer[int]
    float8_val: bytes

class ResourceHandleProto(Message):
    device: str
    container: str
    name: str
    hash_code: int
    maybe_type_name: str

class VariantTensorDataProto(Message):
    type_name: str
    metadata: bytes
    tensors: RepeatedCompositeFieldContainer[TensorProto]

class ModelSpec(Message):
    name: str
    version: Int64Value
    version_label: str
    signature_name: str

class PredictRequest(Message):
    model_spec: ModelSpec
    inputs: MessageMap[str, TensorProto]
    output_filter: RepeatedScalarFieldContainer[str]

class PredictResponse(Message):
    outputs: MessageMap[str, TensorProto]
    model_spec: ModelSpec

class ExampleList(Message):
    examples: RepeatedCompositeFieldContainer[Example]

class ExampleListWithContext(Message):
    examples: RepeatedCompositeFieldContainer[Example]
    context: Example

class Input(Message):
    example_list: ExampleList
    example_list_with_context: ExampleListWithContext

class Class(Message):
    label: str
    score: float

class Classifications(Message):
    classes: RepeatedCompositeFieldContainer[Class]

class ClassificationResult(Message):
    classifications: RepeatedCompositeFieldContainer[Classifications]

class ClassificationRequest(Message):
    model_spec: ModelSpec
    input: Input

class ClassificationResponse(Message):
    result: ClassificationResult
    model_spec: ModelSpec

class Regression(Message):
    value: float

class RegressionResult(Message):
    regressions: RepeatedCompositeFieldContainer[Regression]

class RegressionRequest(Message):
    model_spec: ModelSpec
    input: Input

class RegressionResponse(Message):
    result: RegressionResult
    model_spec: ModelSpec

class InferenceTask(Message):
    model_spec: ModelSpec
    method_name: str

class InferenceResult(Message):
    model_spec: ModelSpec
    classification_result: ClassificationResult
    regression_result: RegressionResult

class MultiInferenceRequest(Message):
    tasks: RepeatedCompositeFieldContainer[InferenceTask]
    input: Input

class MultiInferenceResponse(Message):
    results: RepeatedCompositeFieldContainer[InferenceResult]

class TensorInfo(Message):
    class CooSparse(Message):
        values_tensor_name: str
        indices_tensor_name: str
        dense_shape_tensor_name: str

    name: str
    coo_sparse: TensorInfo.CooSparse
    dtype: int
    tensor_shape: TensorShapeProto

class SignatureDef(Message):
    inputs: MessageMap[str, TensorInfo]
    outputs: MessageMap[str, TensorInfo]
    method_name: str
    defaults: MessageMap[str, TensorProto]

class MetaGraphDef(Message):
    class MetaInfoDef(Message):
        tags: RepeatedScalarFieldContainer[str]

    meta_info_def: MetaGraphDef.MetaInfoDef
    signature_def: MessageMap[str, SignatureDef]

class SavedModel(Message):
    saved_model_schema_version: int
    meta_graphs: RepeatedCompositeFieldContainer[MetaGraphDef]

class SignatureDefMap(Message):
    signature_def: MessageMap[str, SignatureDef]

class GetModelMetadataRequest(Message):
    model_spec: ModelSpec
    metadata_field: RepeatedScalarFieldContainer[str]

class GetModelMetadataResponse(Message):
    model_spec: ModelSpec
    metadata: MessageMap[str, Any]

class StatusProto(Message):
    error_code: int
    error_message: str

class GetModelStatusRequest(Message):
    model_spec: ModelSpec

class ModelVersionStatus(Message):
    State: EnumTypeWrapper
    UNKNOWN: int
    START: int
    LOADING: int
    AVAILABLE: int
    UNLOADING: int
    END: int
    version: int
    state: int
    status: StatusProto

class GetModelStatusResponse(Message):
    model_version_status: RepeatedCompositeFieldContainer[ModelVersionStatus]

class ReloadConfigRequest(Message):
    config: ModelServerConfig
    metric_names: RepeatedScalarFieldContainer[str]

class Metric(Message):
    name: str
    int64_value_increase: int

class ReloadConfigResponse(Message):
    status: StatusProto
    metric: RepeatedCompositeFieldContainer[Metric]

class ClassifyLog(Message):
    request: ClassificationRequest

class RegressLog(Message):
    request: RegressionRequest

class PredictLog(Message):
    request: PredictRequest

class MultiInferenceLog(Message):
    request: MultiInferenceRequest

class PredictStreamedLog(Message):
    request: RepeatedCompositeFieldContainer[PredictRequest]

class SessionRunLog(Message): ...

class PredictionLog(Message):
    classify_log: ClassifyLog
    regress_log: RegressLog
    multi_inference_log: MultiInferenceLog
    session_run_log: SessionRunLog
    predict_log: PredictLog
    predict_streamed_log: PredictStreamedLog
