"""Error messages are cut, so that they do not repeat a large request."""

from serving.gateway.errors import BadDocument, listed


def test_long_messages_and_names_are_cut() -> None:
    assert BadDocument("a" * 1_000_000).message == "a" * 2000 + "…"
    assert listed({"b" * 1_000_000: 1, "c": 2}) == "b" * 200 + "…, c"
