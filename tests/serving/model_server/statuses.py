"""Expect a ServingError with a status code."""

from typing import Any

import pytest

from serving.model_server.errors import ServingError
from serving.tfs_api.status_codes import Code


def raises_status(code: Code, match: str | None = None) -> Any:
    """Return the context of a block that raises this error."""
    return pytest.raises(ServingError, match=match, check=lambda error: error.code is code)
