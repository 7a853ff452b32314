"""Bounded work: how many requests are under way for each model, and how many bytes of bodies are held for all. The
rows that wait for a signature are bounded in ``coalesce.py``."""

from serving.gateway.errors import Overloaded


class Admission:
    """Counts. Every ``enter`` and ``hold`` that returned is to be paired with its ``leave`` or ``release``."""

    def __init__(self, max_in_flight: int, max_bytes: int) -> None:
        self._max_in_flight = max_in_flight
        self._max_bytes = max_bytes
        self._in_flight: dict[str, int] = {}
        self.bytes_held = 0

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

    def hold(self, size: int) -> None:
        """Room for so many bytes of a body.

        Raises:
            Overloaded: all bodies together would take more than they may.
        """
        if self.bytes_held + size > self._max_bytes and self.bytes_held:
            raise Overloaded("the gateway holds as many bytes of request bodies as it may; try again", "body_bytes")
        self.bytes_held += size

    def release(self, size: int) -> None:
        self.bytes_held -= size
