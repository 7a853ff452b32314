"""Bounded work: how many requests are under way for each model.

The memory that requests hold is bounded in ``memory.py``, the rows that wait for a signature in ``coalesce.py``.
"""

from serving.gateway.errors import Overloaded


class Admission:
    """Counts. Every ``enter`` that returned is to be paired with its ``leave``."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._in_flight: dict[str, int] = {}

    def enter(self, model: str) -> None:
        """A place for one request.

        Raises:
            Overloaded: the model has as many requests under way as it may.
        """
        count = self._in_flight.get(model, 0)
        if count >= self._max_in_flight:
            raise Overloaded(f"model {model} has {count} requests under way, as many as it may; try again", "in_flight")
        self._in_flight[model] = count + 1

    def leave(self, model: str) -> None:
        self._in_flight[model] -= 1
        if not self._in_flight[model]:
            del self._in_flight[model]
