"""The array type of the whole package."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
