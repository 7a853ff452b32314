"""Read configuration files in protobuf's text form."""

import logging
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from serving.model_server.errors import invalid_argument, not_found

logger = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)


def read(path: Path, kind: type[M]) -> M:
    """Read a message of this class.

    Raises:
        ServingError: NOT_FOUND if the file cannot be read, INVALID_ARGUMENT if it is not such a message. The log has
            protobuf's reason.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise not_found(f"{path}; {reason}") from None
    except text_format.ParseError as error:
        logger.error("Error parsing text-format %s: %s: %s", kind.DESCRIPTOR.full_name, path, error)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
