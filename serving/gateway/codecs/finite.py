"""Reject outputs with NaN or infinity, which JSON cannot represent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import BadOutput
from serving.tfs_api.tensors import is_float


def finite(outputs: Outputs, name: str) -> NDArray[Any]:
    """Return an output that holds neither NaN nor infinity.

    Raises:
        BadOutput: it does.
    """
    array = outputs[name]
    if not outputs.clean and is_float(array.dtype) and not np.isfinite(array).all():
        raise BadOutput(f"output {name} of the model holds NaN or infinity for this input")
    return array
