"""The project's own message classes against those of Triton's client."""

from typing import Any

import pytest
import tritonclient.grpc  # noqa: F401  it registers its messages
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from serving.gateway.oip_grpc import messages
from serving.tfs_api import stubs
from tests.programs import REPOSITORY
from tests.serving.tfs_api.test_messages import compare, fields_in, fields_of, fill, values, words

FOLDER = REPOSITORY / "serving" / "gateway" / "oip_grpc"
CLASSES = {
    value.DESCRIPTOR.full_name: value
    for value in vars(messages).values()
    if isinstance(value, type) and issubclass(value, Message)
}


def official_class(name: str) -> Any:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_fields_and_bytes_match_tritons(name: str) -> None:
    own, other = CLASSES[name], official_class(name)
    compare(own.DESCRIPTOR, other.DESCRIPTOR)
    for choice in range(5):
        message = fill(own(), choice)
        data = message.SerializeToString(deterministic=True)
        assert other.FromString(data).SerializeToString(deterministic=True) == data
        assert own.FromString(data) == message


def test_the_service_is_a_part_of_tritons() -> None:
    own = messages.ModelInferRequest.DESCRIPTOR.file.services_by_name["GRPCInferenceService"]
    other = descriptor_pool.Default().FindServiceByName(own.full_name)
    for method in own.methods:
        twin = other.methods_by_name[method.name]
        assert (method.input_type.full_name, method.output_type.full_name) == (
            twin.input_type.full_name,
            twin.output_type.full_name,
        )
        assert not twin.client_streaming and not twin.server_streaming


def test_types_match_tritons() -> None:
    other = descriptor_pool.Default().FindEnumTypeByName("inference.DataType")
    assert dict(messages.DataType.items()) == values(other)


def test_the_compiled_files_match_the_proto_file() -> None:
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(messages.DESCRIPTOR_SET).file
    written = (FOLDER / "proto" / "open_inference.proto").read_text(encoding="utf-8")
    assert dict(fields_of(file)) == dict(fields_in(written))
    assert words(stubs.stub(messages)) == words((FOLDER / "messages.pyi").read_text(encoding="utf-8"))
