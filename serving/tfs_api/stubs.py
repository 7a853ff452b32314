"""Write the type stub of a module of message classes from its descriptor set (``make protos``).

``python -m serving.tfs_api.stubs MODULE``; see :mod:`serving.tfs_api.messages`.
"""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet

_SCALARS: Final = {
    FieldDescriptorProto.TYPE_DOUBLE: "float",
    FieldDescriptorProto.TYPE_FLOAT: "float",
    FieldDescriptorProto.TYPE_INT64: "int",
    FieldDescriptorProto.TYPE_UINT64: "int",
    FieldDescriptorProto.TYPE_INT32: "int",
    FieldDescriptorProto.TYPE_UINT32: "int",
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_STRING: "str",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
    FieldDescriptorProto.TYPE_ENUM: "int",
}
_PACKAGES = (".tensorflow.serving.", ".tensorflow.", ".google.protobuf.", ".inference.")
_HEADER = '''\
"""{title}. Written by ``make protos``."""

from google.protobuf.any_pb2 import Any
from google.protobuf.internal.containers import MessageMap, RepeatedCompositeFieldContainer
from google.protobuf.internal.containers import RepeatedScalarFieldContainer, ScalarMap
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, Int64Value, StringValue

DESCRIPTOR_SET: bytes'''


def stub(module: ModuleType) -> str:
    """Return the stub's text, not formatted."""
    lines = [_HEADER.replace("{title}", (module.__doc__ or "").partition(",")[0])]
    for file in FileDescriptorSet.FromString(module.DESCRIPTOR_SET).file:
        if file.package != "google.protobuf":
            for enum in file.enum_type:
                lines += _enum(enum)
            for message in file.message_type:
                lines += _message(message)
    return "\n".join(lines) + "\n"


def _enum(enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"{enum.name}: EnumTypeWrapper"
    for value in enum.value:
        yield f"{value.name}: int"


def _message(message: DescriptorProto) -> Iterator[str]:
    yield f"class {message.name}(Message):"
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    body = [line for enum in message.enum_type for line in _enum(enum)]
    for nested in message.nested_type:
        if nested.name not in entries:
            body += _message(nested)
    body += [f"{field.name}: {_type(field, entries)}" for field in message.field]
    for line in body or ["..."]:
        yield f"    {line}"


def _type(field: FieldDescriptorProto, entries: dict[str, DescriptorProto]) -> str:
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry:
        key, value = entry.field
        container = "MessageMap" if value.type == FieldDescriptorProto.TYPE_MESSAGE else "ScalarMap"
        return f"{container}[{_type(key, {})}, {_type(value, {})}]"
    scalar = _SCALARS.get(field.type)
    name = scalar or _class_name(field.type_name)
    if field.label != FieldDescriptorProto.LABEL_REPEATED:
        return name
    return f"{'RepeatedScalarFieldContainer' if scalar else 'RepeatedCompositeFieldContainer'}[{name}]"


def _class_name(full_name: str) -> str:
    return next(full_name.removeprefix(package) for package in _PACKAGES if full_name.startswith(package))


if __name__ == "__main__":
    sys.stdout.write(stub(importlib.import_module(sys.argv[1])))
