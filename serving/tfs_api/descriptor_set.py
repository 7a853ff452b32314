"""Message classes from a compiled descriptor set."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def load(descriptor_set: bytes) -> dict[str, Any]:
    """Return message classes, enums and enum values by their short names; a descriptor pool of their own holds them."""
    names: dict[str, Any] = {}
    pool: Any = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file
    for file in files:
        pool.Add(file)
    for file in files:
        if file.package == "google.protobuf":
            continue
        for message in file.message_type:
            descriptor = pool.FindMessageTypeByName(f"{file.package}.{message.name}")
            names[message.name] = message_factory.GetMessageClass(descriptor)
        for enum in file.enum_type:
            names[enum.name] = EnumTypeWrapper(pool.FindEnumTypeByName(f"{file.package}.{enum.name}"))
            names |= {value.name: value.number for value in enum.value}
    return names
