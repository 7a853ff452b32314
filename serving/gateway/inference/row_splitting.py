"""Split requests with more rows than one call may have, and join the outputs.

TensorFlow Serving has no limit on the rows of a request. The gateway limits the rows of a call, so that large requests
do not delay small ones. A few parts run at the same time, and other requests run between them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import BadTensor

Part = TypeVar("Part")
Result = TypeVar("Result")


async def in_order(parts: Iterable[Part], send: Callable[[Part], Awaitable[Result]], concurrency: int) -> list[Result]:
    """Return the results of all parts in the parts' order. ``concurrency`` parts run at the same time.

    Raises:
        Exception: the first that a part raised. The other parts are cancelled.
    """
    results: dict[int, Result] = {}
    numbered = iter(enumerate(parts))

    async def work() -> None:
        for number, part in numbered:
            results[number] = await send(part)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [results[number] for number in range(len(results))]


def whole(outputs: Outputs, rows: int) -> Outputs:
    """Return the outputs of a part if they have its number of rows.

    Raises:
        BadTensor: an output has another number of rows, so that parts cannot be joined.
    """
    for name, array in outputs.items():
        if not array.ndim or len(array) != rows:
            raise BadTensor(
                f"the request has more rows than one call, and cannot be split: output {name} has shape "
                f"{list(array.shape)} for {rows} rows. Send fewer rows."
            )
    return outputs


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Concatenate the outputs of all parts.

    Raises:
        BadTensor: the parts' outputs differ in more than their number of rows.
    """
    arrays = {}
    for name in parts[0]:
        columns = [part[name] for part in parts]
        shapes = {column.shape[1:] for column in columns}
        if len(shapes) > 1:
            raise BadTensor(
                f"the request has more rows than one call, and cannot be split: output {name} has another shape in "
                "each part. Send fewer rows."
            )
        arrays[name] = np.concatenate(columns)
    return Outputs(arrays, all(part.clean for part in parts))
