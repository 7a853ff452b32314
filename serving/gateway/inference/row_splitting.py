"""Requests of more rows than one call may have: sent in parts, answered as one.

TensorFlow Serving sets no limit to the rows of a request. Here one call to the model server has a limit, so that large
requests do not delay small ones. A few parts are under way at a time, and other requests' rows travel between them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from serving.gateway.backends.base import Outputs
from serving.gateway.errors import BadTensor

Part = TypeVar("Part")
Answered = TypeVar("Answered")


async def in_order(parts: Iterable[Part], ask: Callable[[Part], Awaitable[Answered]], at_once: int) -> list[Answered]:
    """The answers to all parts, in the parts' order.

    ``at_once`` parts are under way at a time.

    Raises:
        Exception: the first that a part raised. The other parts are then cancelled.
    """
    answers: dict[int, Answered] = {}
    numbered = iter(enumerate(parts))

    async def work() -> None:
        for number, part in numbered:
            answers[number] = await ask(part)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [answers[number] for number in range(len(answers))]


def whole(outputs: Outputs, rows: int) -> Outputs:
    """The outputs of a part of so many rows.

    Raises:
        BadTensor: an output has another number of rows, so that parts cannot be put together.
    """
    for name, array in outputs.items():
        if not array.ndim or len(array) != rows:
            raise BadTensor(
                f"the request has more rows than one call, and cannot be split: output {name} has shape "
                f"{list(array.shape)} for {rows} rows. Send fewer rows."
            )
    return outputs


def joined(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of all parts, one below the other.

    Raises:
        BadTensor: the parts' outputs differ in more than their rows.
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
