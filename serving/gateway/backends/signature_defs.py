"""SignatureDefMap messages to signatures and to JSON.

Source: tensorflow/core/protobuf/meta_graph.proto (SignatureDef, TensorInfo) and
tensorflow_serving/apis/get_model_metadata.proto.
"""

from typing import Any

from google.protobuf import json_format

from serving.gateway.models.signature import Signature, TensorSpec


def signatures(definitions: Any) -> dict[str, Signature]:
    """Signatures by name; those without inputs or outputs are left out."""
    return {
        name: Signature(
            name,
            {key: _spec(key, info) for key, info in sorted(definition.inputs.items())},
            {key: _spec(key, info) for key, info in sorted(definition.outputs.items())},
        )
        for name, definition in sorted(definitions.signature_def.items())
        if definition.inputs and definition.outputs
    }


def as_json(definitions: Any) -> dict[str, Any]:
    """The definitions as TensorFlow Serving's REST API writes them."""
    content: dict[str, Any] = json_format.MessageToDict(
        definitions, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return content


def _spec(name: str, info: Any) -> TensorSpec:
    unknown = info.tensor_shape.unknown_rank
    shape = None if unknown else tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorSpec(name, info.dtype, shape)
