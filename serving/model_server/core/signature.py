"""Inputs and outputs of a SavedModel's signatures, read from ``saved_model.pb`` without TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from serving.model_server.errors import data_loss, not_found
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output: its name in the graph, its DataType, and its shape.

    A size of None is any size; a shape of None is any rank.
    """

    name: str
    data_type: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class ServableSignature:
    """Inputs and outputs by alias, in alphabetical order, and default values of optional inputs."""

    name: str
    method: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    defaults: Mapping[str, Array]


@dataclass(frozen=True)
class ServableSignatures:
    """All signatures of a version, and the SignatureDefMap that GetModelMetadata sends."""

    by_name: Mapping[str, ServableSignature]
    signature_def_map: bytes


def read(directory: Path, tags: Sequence[str]) -> ServableSignatures:
    """Return the signatures of the SavedModel's graph that has these tags.

    Raises:
        ServingError: NOT_FOUND without a SavedModel or a graph with the tags, DATA_LOSS for a damaged file.
    """
    return of_definitions(_meta_graph(directory, tags).signature_def)


def of_definitions(definitions: Mapping[str, Any]) -> ServableSignatures:
    """Return the signatures of SignatureDefs by name."""
    message = messages.SignatureDefMap()
    for name, definition in definitions.items():
        message.signature_def[name].CopyFrom(definition)
    by_name = {name: _signature(name, definition) for name, definition in sorted(definitions.items())}
    return ServableSignatures(by_name, message.SerializeToString())


def _meta_graph(directory: Path, tags: Sequence[str]) -> Any:
    message = messages.SavedModel()
    binary, text = directory / "saved_model.pb", directory / "saved_model.pbtxt"
    if binary.is_file():
        _parse_binary(binary, message)
    elif text.is_file():
        try:
            text_format.Parse(text.read_text(encoding="utf-8"), message, allow_unknown_field=True)
        except (text_format.ParseError, UnicodeDecodeError, OSError) as error:
            raise data_loss(f"Can't parse {text} as text proto: {error}") from None
    else:
        raise not_found(
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {directory}. Check that "
            "the directory exists and that you have the right permissions for accessing it."
        )
    for graph in message.meta_graphs:
        if set(graph.meta_info_def.tags) == set(tags):
            return graph
    raise not_found(
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available tag-sets "
        "in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
    )


def _parse_binary(path: Path, message: Any) -> None:
    """Parse the file into the message. Error messages: ReadBinaryProto (tensorflow/core/platform/env.cc)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise data_loss(f"Can't parse {path} as binary proto: {error}") from None
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise data_loss(f"Can't parse {path} as binary proto") from None


def _signature(name: str, definition: Any) -> ServableSignature:
    return ServableSignature(
        name=name,
        method=definition.method_name,
        inputs={alias: _tensor_info(info) for alias, info in sorted(definition.inputs.items())},
        outputs={alias: _tensor_info(info) for alias, info in sorted(definition.outputs.items())},
        defaults={alias: _default(name, alias, value) for alias, value in definition.defaults.items()},
    )


def _default(signature: str, alias: str, value: Any) -> Array:
    try:
        return tensors.to_array(value)
    except ValueError as error:
        raise data_loss(f"The default of input {alias} of signature {signature} is invalid: {error}") from None


def _tensor_info(info: Any) -> TensorInfo:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorInfo(info.name, info.dtype, shape)
