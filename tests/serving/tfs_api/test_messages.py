"""The project's own message classes against the official ones."""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from serving.tfs_api import messages, stubs
from tests.programs import REPOSITORY

PROTO = REPOSITORY / "serving" / "tfs_api" / "proto"
CLASSES = {
    value.DESCRIPTOR.full_name: value
    for value in vars(messages).values()
    if isinstance(value, type) and issubclass(value, Message)
}
#: Messages of which no official Python package is installed.
NO_PACKAGE = {
    "tensorflow.serving.BatchingParameters",
    "tensorflow.serving.PrometheusConfig",
    "tensorflow.serving.MonitoringConfig",
    "tensorflow.serving.SSLConfig",
    "grpc.health.v1.HealthCheckRequest",
    "grpc.health.v1.HealthCheckResponse",
}


@pytest.fixture(scope="module", autouse=True)
def official() -> None:
    """Import the official modules, and with them all of TensorFlow, beside the project's own."""
    import tensorflow  # noqa: F401
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: F401
    from tensorflow_serving.apis import (  # noqa: F401
        get_model_status_pb2,
        model_management_pb2,
        prediction_log_pb2,
        prediction_service_pb2,
    )


def official_class(name: str) -> Any:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def fill(message: Any, choice: int, inside: tuple[str, ...] = ()) -> Any:
    """Set every field of a message, once on each path, and of each oneof the field at index ``choice``."""
    inside += (message.DESCRIPTOR.full_name,)
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof and oneof.fields[choice % len(oneof.fields)].number != field.number:
            continue
        kind, value = field.message_type, getattr(message, field.name)
        if kind and kind.GetOptions().map_entry:
            for key in ("one", "two"):
                if kind.fields_by_name["value"].message_type:
                    fill(value[key], choice, inside)
                else:
                    value[key] = sample(kind.fields_by_name["value"])
        elif kind and kind.full_name not in inside:
            for part in (value.add(), value.add()) if field.is_repeated else (value,):
                part.SetInParent()
                fill(part, choice, inside)
        elif field.is_repeated and not kind:
            value.extend([sample(field), sample(field)])
        elif not kind:
            setattr(message, field.name, sample(field))
    return message


def sample(field: FieldDescriptor) -> Any:
    if field.enum_type:
        return field.enum_type.values[-1].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"\xff\x00" if field.type == FieldDescriptor.TYPE_BYTES else "näme"
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return 0.5
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    return 300 if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64) else -3


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - NO_PACKAGE))
def test_bytes_match_the_official_package(name: str) -> None:
    for choice in range(6):  # no oneof has more fields
        own = fill(CLASSES[name](), choice)
        data = own.SerializeToString(deterministic=True)
        other = official_class(name).FromString(data)
        assert list(unknown_fields(other)) == []
        assert other.SerializeToString(deterministic=True) == data
        assert CLASSES[name].FromString(data) == own


def unknown_fields(message: Any) -> Iterator[int]:
    yield from (field.field_number for field in UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            parts = list(value.values()) if field.message_type.fields_by_name["value"].message_type else []
        elif field.message_type:
            parts = list(value) if field.is_repeated else [value]
        else:
            parts = []
        for part in parts:
            yield from unknown_fields(part)


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - NO_PACKAGE))
def test_fields_and_enums_match_the_official_package(name: str) -> None:
    compare(CLASSES[name].DESCRIPTOR, official_class(name).DESCRIPTOR)


def compare(own: Descriptor, other: Descriptor) -> None:
    theirs = {field.number: shape(field) for field in other.fields}
    assert {field.number: shape(field) for field in own.fields}.items() <= theirs.items()
    for nested in own.nested_types:
        compare(nested, other.nested_types_by_name[nested.name])
    for enum in own.enum_types:
        assert values(enum) == values(other.enum_types_by_name[enum.name])


def shape(field: FieldDescriptor) -> tuple[Any, ...]:
    kind = field.message_type or field.enum_type
    oneof = field.containing_oneof.name if field.containing_oneof else None
    return field.name, field.type, field.is_repeated, field.is_packed, oneof, kind.full_name if kind else None


def values(enum: EnumDescriptor) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def test_top_level_enums_match_the_official_package() -> None:
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import error_codes_pb2
    from tensorflow_serving.config import model_server_config_pb2

    assert dict(messages.DataType.items()) == dict(types_pb2.DataType.items())
    assert dict(messages.ModelType.items()) == dict(model_server_config_pb2.ModelType.items())
    assert dict(messages.Code.items()).items() <= dict(error_codes_pb2.Code.items()).items()


def test_unknown_fields_are_kept() -> None:
    other = official_class("tensorflow.serving.PredictRequest")(client_id=b"me")
    other.model_spec.name = "m"
    data = other.SerializeToString()
    assert messages.PredictRequest.FromString(data).SerializeToString() == data


def test_the_descriptor_set_matches_the_proto_files() -> None:
    """Compare field by field with a reader of the few forms that the .proto files use."""
    compiled: dict[str, dict[str, str]] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(messages.DESCRIPTOR_SET).file:
        if not file.name.startswith("google/"):
            compiled[file.name] = dict(fields_of(file))
    written = {path.name: dict(fields_in(path.read_text(encoding="utf-8"))) for path in PROTO.glob("*.proto")}
    assert compiled == written


def fields_of(file: Any) -> Iterator[tuple[str, str]]:
    """Name and declaration of every message, field and enum value of a compiled file."""
    for enum in file.enum_type:
        yield from values_of("", enum)
    for message in file.message_type:
        yield from fields_of_message("", message)


def values_of(scope: str, enum: Any) -> Iterator[tuple[str, str]]:
    for value in enum.value:
        yield f"{scope}{enum.name}.{value.name}", f"= {value.number}"


def fields_of_message(scope: str, message: Any) -> Iterator[tuple[str, str]]:
    inside = f"{scope}{message.name}."
    yield inside, "message"
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for nested in message.nested_type:
        if nested.name not in entries:
            yield from fields_of_message(inside, nested)
    for enum in message.enum_type:
        yield from values_of(inside, enum)
    for field in message.field:
        kind = type_of(field)
        if kind in entries:
            kind = f"map<{', '.join(map(type_of, entries[kind].field))}>"
        elif field.label == field.LABEL_REPEATED:
            kind = f"repeated {kind}"
        elif field.proto3_optional:
            kind = f"optional {kind}"
        yield f"{inside}{field.name}", f"{kind} = {field.number}"


def type_of(field: Any) -> str:
    return str(field.type_name.rpartition(".")[2] or field.Type.Name(field.type).removeprefix("TYPE_").lower())


def fields_in(text: str) -> Iterator[tuple[str, str]]:
    """The same of the text of a .proto file."""
    scope: list[str] = []
    for line in re.sub(r"//.*", "", text).replace("{}", "{\n}").splitlines():
        if opened := re.fullmatch(r"\s*(message|enum|oneof|service) (\w+) \{", line):
            scope.append("" if opened[1] in ("oneof", "service") else f"{opened[2]}.")
            if opened[1] == "message":
                yield "".join(scope), "message"
        elif line.strip() == "}":
            scope.pop()
        elif value := re.fullmatch(r"\s*([A-Z]\w*) = (\d+);", line):
            yield "".join(scope) + value[1], f"= {value[2]}"
        elif field := re.fullmatch(r"\s*(.+) (\w+) = (\d+);", line):
            kind = re.sub(r"[\w.]+\.(\w+)", r"\1", field[1])
            yield "".join(scope) + field[2], f"{kind} = {field[3]}"


def test_the_type_stub_matches_the_descriptor_set() -> None:
    written = (resources.files("serving.tfs_api") / "messages.pyi").read_text(encoding="utf-8")
    assert words(stubs.stub(messages)) == words(written)


def words(stub: str) -> list[str]:
    """The words of a type stub behind its imports, whatever its format."""
    return re.findall(r"[\w.\[\]:]+", stub.partition("DESCRIPTOR_SET")[2])
