"""Message classes of TensorFlow Serving's API, by their short names: ``messages.PredictRequest``.

The classes come from the .proto files in ``proto/``, compiled into ``messages.binpb`` (``make protos``). A private
descriptor pool holds them, so TensorFlow's own classes of the same full names can exist in the same process. Exchange
messages with those as serialized bytes. ``messages.pyi`` lists every class with its fields.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

DESCRIPTOR_SET = Path(__file__).with_name("messages.binpb").read_bytes()


def _load() -> dict[str, Any]:
    """Return message classes, enums and enum values by their short names."""
    names: dict[str, Any] = {}
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR_SET).file
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


globals().update(_load())
