"""Configuration files in protobuf's text form, and those of their messages that no package brings.

``tensorflow-serving-api`` has no Python classes for some of the files that TensorFlow Serving reads; they are
declared here, after the .proto file that each names, in a descriptor pool of their own.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from serving.model_server.errors import invalid_argument, not_found

logger = logging.getLogger(__name__)

_POOL = descriptor_pool.DescriptorPool()
_PACKAGE = "tensorflow.serving"
_TYPES = descriptor_pb2.FieldDescriptorProto.Type.DESCRIPTOR.values_by_name
_LABELS = descriptor_pb2.FieldDescriptorProto.Label.DESCRIPTOR.values_by_name


def declare(file: str, messages: Mapping[str, Mapping[str, tuple[int, str]]]) -> dict[str, Any]:
    """Message classes by name.

    Args:
        file: the .proto file that they are after.
        messages: for each its fields: number and type, where a type is ``string``, ``bool``, ``int64``, …, or the
            name of another of these messages, and ``repeated`` may stand before it.
    """
    proto = descriptor_pb2.FileDescriptorProto(name=file, package=_PACKAGE, syntax="proto3")
    for name, fields in messages.items():
        message = proto.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            *repeated, kind = kind.split()
            entry = message.field.add(name=field, number=number)
            entry.label = _LABELS["LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"].number
            if kind in messages:
                entry.type, entry.type_name = _TYPES["TYPE_MESSAGE"].number, f".{_PACKAGE}.{kind}"
            else:
                entry.type = _TYPES[f"TYPE_{kind.upper()}"].number
    _POOL.Add(proto)  # type: ignore[no-untyped-call]
    return {
        name: message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))  # type: ignore[no-untyped-call]
        for name in messages
    }


SSLConfig: Any = declare(
    "tensorflow_serving/config/ssl_config.proto",
    {
        "SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        }
    },
)["SSLConfig"]


def read(path: Path, kind: Any) -> Any:
    """The message of this kind that a file holds.

    Raises:
        NOT_FOUND: there is no such file.
        INVALID_ARGUMENT: it holds no such message; where and why is logged, as protobuf does it.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise not_found(f"{path}; {reason}") from None
    except text_format.ParseError as error:
        logger.error("Error parsing text-format %s: %s: %s", kind.DESCRIPTOR.full_name, path, error)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
