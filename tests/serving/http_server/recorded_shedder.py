"""A load shedder that remembers when an overload began and ended."""

from typing import Any

from serving.http_server.load_shedding import LoadShedder


class RecordedShedder(LoadShedder):
    """``changes`` has True for each begin of an overload, False for each end."""

    def __init__(self, *arguments: Any) -> None:
        self.changes: list[bool] = []
        super().__init__(*arguments)

    def _change(self, is_overloaded: bool) -> None:
        self.changes.append(is_overloaded)
        super()._change(is_overloaded)
