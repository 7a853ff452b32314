"""An event loop for schedules that are drawn: its turns and its clock move only when a test moves them.

Hypothesis then decides what happens between two turns, and repeats a failure exactly.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, rule
from hypothesis.strategies import integers, sampled_from


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def turn(self) -> None:
        """Run what is ready once."""
        self.call_soon(self.stop)
        self.run_forever()

    def settle(self) -> None:
        """Run until nothing is ready."""
        for _ in range(10_000):
            self.turn()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise AssertionError("the loop is never idle")

    def advance(self, seconds: float) -> None:
        """Let time pass. The timers that expire run in one turn, as after a turn that took long."""
        self._now += seconds
        self.turn()


class Schedule(RuleBasedStateMachine):
    """A state machine with an event loop. Its rules start and end things; the loop's turns are rules too."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.unexpected: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unexpected.append(context))

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Create a task, which begins in the loop's next turn."""
        return self.loop.create_task(work)

    def within(self, function: Any, *arguments: Any) -> Any:
        """Call a function inside of the loop."""

        async def call() -> Any:
            return function(*arguments)

        return self.loop.run_until_complete(call())

    @rule(turns=integers(1, 4))
    def run_loop(self, turns: int) -> None:
        """Run some turns of the loop."""
        for _ in range(turns):
            self.loop.turn()

    @rule(seconds=sampled_from((0.001, 0.01, 0.1, 1.0)))
    def let_time_pass(self, seconds: float) -> None:
        """Move the clock."""
        self.loop.advance(seconds)

    def finish(self) -> None:
        """Check the end state; a subclass ends its work here."""

    def teardown(self) -> None:
        """Finish, and check that no task failed unseen."""
        try:
            self.finish()
            assert not self.unexpected, self.unexpected
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.settle()
            self.loop.close()
