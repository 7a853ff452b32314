"""routing.json: valid content, and errors that name the wrong key."""

from pathlib import Path

import pytest

from serving.artifacts.routing_file import Canary, RoutingEntry, RoutingError, Shadow, parse, read, render

FULL = RoutingEntry(
    live=2,
    canary=Canary(version=3, percent=12.5, sticky="header:X-User"),
    shadow=Shadow(version="next", percent=1),
    fallback=("previous", 1),
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "routing.json"
    assert read(path) == {}
    path.write_text(render({"m": FULL, "n": RoutingEntry()}))
    assert read(path) == {"m": FULL, "n": RoutingEntry()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the document: Invalid JSON"),
        ('{"m": {"canary": {"version": 3, "percent": 10}}', "Invalid JSON"),
        ("[]", "the document"),
        ('{"m": {"canry": {"version": 3, "percent": 10}}}', "m.canry: Extra inputs"),
        ('{"m": {"canary": {"version": 3}}}', "m.canary.percent: Field required"),
        ('{"m": {"canary": {"version": 3, "percent": 101}}}', "m.canary.percent: .* less than or equal to 100"),
        ('{"m": {"canary": {"version": 3, "percent": "10"}}}', "m.canary.percent: .* valid number"),
        ('{"m": {"canary": {"version": 0, "percent": 10}}}', "m.canary.version"),
        ('{"m": {"canary": {"version": 3, "percent": 10, "sticky": "header:"}}}', "m.canary.sticky"),
        ('{"m": {"canary": {"version": 3, "percent": 10, "sticky": "cookie:a b"}}}', "m.canary.sticky"),
        ('{"m": {"shadow": {"version": 3, "percent": NaN}}}', "m.shadow.percent|Invalid JSON"),
        ('{"m": {"fallback": "stable"}}', "m.fallback"),
    ],
)
def test_invalid_files_are_rejected(text: str, words: str) -> None:
    with pytest.raises(RoutingError, match=words):
        parse(text)
