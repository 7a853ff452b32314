"""Limits of requests under way, for each model and for each caller.

A request counts from the end of its body to its answer. The memory that requests hold is bounded in ``memory.py``, the
rows that wait for a signature in ``coalesce.py``.
"""

from serving.gateway.errors import Overloaded


class Admission:
    """Counts. Every ``enter`` that returned is to be paired with its ``leave``."""

    def __init__(self, max_in_flight: int, max_share: float) -> None:
        """``max_share`` is the largest part of a model's places that one caller may hold."""
        self._max_in_flight = max_in_flight
        self._max_of_caller = max(1, int(max_in_flight * max_share))
        self._in_flight: dict[str, int] = {}
        self._of_caller: dict[tuple[str, str], int] = {}

    def check(self, model: str, caller: str) -> None:
        """Refuse before the body is read.

        Raises:
            Overloaded: see :meth:`enter`.
        """
        count = self._in_flight.get(model, 0)
        if count >= self._max_in_flight:
            raise Overloaded(f"model {model} has {count} requests under way, as many as it may; try again", "in_flight")
        own = self._of_caller.get((model, caller), 0)
        if own >= self._max_of_caller:
            raise Overloaded(
                f"{caller} has {own} requests under way for model {model}; wait for their answers", "share"
            )

    def enter(self, model: str, caller: str) -> None:
        """Take a place for one request.

        Raises:
            Overloaded: the model has as many requests under way as it may, or the caller has its share of them.
        """
        self.check(model, caller)
        self._in_flight[model] = self._in_flight.get(model, 0) + 1
        place = (model, caller)
        self._of_caller[place] = self._of_caller.get(place, 0) + 1

    def leave(self, model: str, caller: str) -> None:
        count = self._in_flight[model] - 1
        if count:
            self._in_flight[model] = count
        else:
            del self._in_flight[model]
        place = (model, caller)
        count = self._of_caller[place] - 1
        if count:
            self._of_caller[place] = count
        else:
            del self._of_caller[place]
