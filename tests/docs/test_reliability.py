"""The tests and commands that the pages about reliability and security name exist, and each promise has its figure."""

import re

import pytest

from tests.programs import REPOSITORY

PAGES = [REPOSITORY / "docs" / name for name in ("reliability.md", "security.md")]
TESTED = [text for page in PAGES for text in re.findall(r"`([a-z0-9_/]+\.py(?:::\w+)?)`", page.read_text())]
COMMANDS = sorted({text for page in PAGES for text in re.findall(r"`((?:python -m|make) [^`]+)`", page.read_text())})
ROWS = re.findall(r"^\| (?!\*\*|promise|---)(.*) \|$", PAGES[0].read_text(), re.MULTILINE)


def test_the_pages_are_read() -> None:
    assert len(TESTED) > 50 and len(COMMANDS) > 3 and len(ROWS) > 30


@pytest.mark.parametrize("named", sorted(set(TESTED)))
def test_a_named_test_exists(named: str) -> None:
    file, _, name = named.partition("::")
    source = (REPOSITORY / "tests" / file).read_text(encoding="utf-8")
    assert re.search(rf"^(?:(?:async )?def )?{name or '(?:test_|Test)'}", source, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_named_command_exists(command: str) -> None:
    program, *_ = command.removeprefix("python -m ").removeprefix("make ").split()
    if command.startswith("make "):
        assert re.search(rf"^{program}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    else:
        module = REPOSITORY / program.replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_has_a_figure_and_its_commit(row: str) -> None:
    _, _, figure, commit = (cell.strip() for cell in row.split("|"))
    assert figure
    assert bool(re.fullmatch(r"[0-9a-f]{7,12}", commit)) == (figure != "not measured"), row
